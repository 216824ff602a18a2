#!/usr/bin/env python3
"""Writes src/quant/codebooks_data.cc: the code books of IQ1, IQ2 and IQ3, as the `gguf` package has them.

Needs Python with numpy and gguf (0.19 or later).

usage: make_codebooks.py > src/quant/codebooks_data.cc
"""

from gguf import quants

# Name in C++, class of the package, bits that say which of its values a weight has.
BOOKS = [
    ("iq1", quants.IQ1_S, 2),
    ("iq2_xxs", quants.IQ2_XXS, 2),
    ("iq2_xs", quants.IQ2_XS, 2),
    ("iq2_s", quants.IQ2_S, 2),
    ("iq3_xxs", quants.IQ3_XXS, 3),
    ("iq3_s", quants.IQ3_S, 3),
]


def check_signs():
    """The signs of seven weights make those of the eighth: there is always an even number of minus signs."""
    for index, signs in enumerate(quants.IQ2_XXS.ksigns):
        assert signs == index | (index.bit_count() % 2) << 7


def packed_points(book, bits):
    """A number for each point: the first weight's value, by its place in the list of values, in the lowest bits."""
    book.init_grid()
    places = {value: place for place, value in enumerate(book.grid_map)}
    points = book.grid.reshape(book.grid_shape).astype(int).tolist()
    return [sum(places[value] << bits * i for i, value in enumerate(point)) for point in points]


def main():
    check_signs()
    print("// The code books of IQ1, IQ2 and IQ3, by tools/make_codebooks.py. Data; not edited by hand.")
    print('#include "quant/codebooks.h"\n')
    print("namespace puna::quant {\nnamespace {\n\n// clang-format off\n")
    for name, book, bits in BOOKS:
        print(f"constexpr std::uint16_t {name}_packed[{len(packed_points(book, bits))}] = {{")
        line = "   "
        for point in packed_points(book, bits):
            item = f" {point:#06x},"
            if len(line) + len(item) > 120:
                print(line)
                line = "   "
            line += item
        print(line + "\n};\n")
    print("}  // namespace\n")
    for name, book, bits in BOOKS:
        size, weights = book.grid_shape
        # -1, 0 and 1 are stored as 0, 1 and 2.
        values = [int(value) + (1 if name == "iq1" else 0) for value in book.grid_map]
        print(f"constinit const Codebook<{size}, {weights}> {name}_points =")
        print(f"    unpack_points<{weights}, {bits}>({name}_packed, {{{', '.join(map(str, values))}}});")
    print("\n// clang-format on\n\n}  // namespace puna::quant")


if __name__ == "__main__":
    main()
