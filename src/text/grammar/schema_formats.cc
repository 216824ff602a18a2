// JSON Schema's formats as regular expressions. Each gives texts that are valid under its format; some leave out rare
// ones that would be valid too.
#include <array>
#include <string_view>
#include <utility>

#include "text/grammar/schema_facets.h"

namespace puna::text::grammar {
namespace {

// RFC 3339, section 5.6 and appendix A. February 29 comes in leap years alone; there is no year 0000, and no leap
// second.
#define PUNA_YEAR "(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
#define PUNA_LEAP_YEAR "([0-9]{2}(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)"
#define PUNA_DATE                                                                                              \
    "(" PUNA_YEAR                                                                                              \
    "-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))" \
    "|" PUNA_LEAP_YEAR "-02-29)"
#define PUNA_TIME "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"

// RFC 1123, section 2.1: labels of letters, digits and inner hyphens; here at most 4 of at most 30 characters.
#define PUNA_LABEL "[A-Za-z0-9]([A-Za-z0-9-]{0,28}[A-Za-z0-9])?"
#define PUNA_HOST PUNA_LABEL "(\\." PUNA_LABEL "){0,3}"

// RFC 3986, section 3.2.2.
#define PUNA_BYTE "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define PUNA_IPV4 PUNA_BYTE "(\\." PUNA_BYTE "){3}"
#define PUNA_H16 "[0-9A-Fa-f]{1,4}"
#define PUNA_LS32 "(" PUNA_H16 ":" PUNA_H16 "|" PUNA_IPV4 ")"
#define PUNA_IPV6                                                                                                      \
    "((" PUNA_H16 ":){6}" PUNA_LS32 "|::(" PUNA_H16 ":){5}" PUNA_LS32 "|(" PUNA_H16 ")?::(" PUNA_H16 ":){4}" PUNA_LS32 \
    "|((" PUNA_H16 ":){0,1}" PUNA_H16 ")?::(" PUNA_H16 ":){3}" PUNA_LS32 "|((" PUNA_H16 ":){0,2}" PUNA_H16             \
    ")?::(" PUNA_H16 ":){2}" PUNA_LS32 "|((" PUNA_H16 ":){0,3}" PUNA_H16 ")?::" PUNA_H16 ":" PUNA_LS32 "|((" PUNA_H16  \
    ":){0,4}" PUNA_H16 ")?::" PUNA_LS32 "|((" PUNA_H16 ":){0,5}" PUNA_H16 ")?::" PUNA_H16 "|((" PUNA_H16               \
    ":){0,6}" PUNA_H16 ")?::)"

// RFC 3986: sections 2.1 to 2.3, 3.1 and 3.3 to 3.5; hosts are names.
#define PUNA_PCHAR "([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
#define PUNA_QUERY_AND_FRAGMENT "(\\?(" PUNA_PCHAR "|[/?])*)?(#(" PUNA_PCHAR "|[/?])*)?"
#define PUNA_AUTHORITY PUNA_HOST "(:[0-9]{1,4})?(/" PUNA_PCHAR "*)*"

constexpr std::array<std::pair<std::string_view, std::string_view>, 13> formats{{
    {"date-time", "^" PUNA_DATE "T" PUNA_TIME "$"},
    {"date", "^" PUNA_DATE "$"},
    {"time", "^" PUNA_TIME "$"},
    // RFC 3339, appendix A.
    {"duration",
     "^P([0-9]{1,4}W|([0-9]{1,4}Y([0-9]{1,4}M([0-9]{1,4}D)?)?|[0-9]{1,4}M([0-9]{1,4}D)?|[0-9]{1,4}D)"
     "(T([0-9]{1,4}H([0-9]{1,4}M([0-9]{1,4}S)?)?|[0-9]{1,4}M([0-9]{1,4}S)?|[0-9]{1,4}S))?"
     "|T([0-9]{1,4}H([0-9]{1,4}M([0-9]{1,4}S)?)?|[0-9]{1,4}M([0-9]{1,4}S)?|[0-9]{1,4}S))$"},
    // RFC 5321, section 4.1.2: dot-strings at a host's name.
    {"email", "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}){0,2}@" PUNA_HOST "$"},
    {"hostname", "^" PUNA_HOST "$"},
    {"ipv4", "^" PUNA_IPV4 "$"},
    {"ipv6", "^" PUNA_IPV6 "$"},
    {"uri", "^[A-Za-z][A-Za-z0-9+.-]{0,15}://" PUNA_AUTHORITY PUNA_QUERY_AND_FRAGMENT "$"},
    // Behind two slashes at its beginning there would be a host.
    {"uri-reference", "^([A-Za-z][A-Za-z0-9+.-]{0,15}://" PUNA_AUTHORITY "|(/(" PUNA_PCHAR "+(/" PUNA_PCHAR
                      "*)*)?)?)" PUNA_QUERY_AND_FRAGMENT "$"},
    // RFC 9562, section 4.
    {"uuid", "^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$"},
    // RFC 6901, section 3.
    {"json-pointer", "^(/([^~/]|~[01])*)*$"},
    {"relative-json-pointer", "^(0|[1-9][0-9]{0,4})(#|(/([^~/]|~[01])*)*)$"},
}};

}  // namespace

std::string_view pattern_of_format(std::string_view format) {
    for (const auto& [name, pattern] : formats) {
        if (name == format) return pattern;
    }
    return {};
}

}  // namespace puna::text::grammar
