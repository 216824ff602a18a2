#include "cli/commands.h"

int main(int argc, char** argv) {
    return puna::cli::run_command_line(argc, argv);
}
