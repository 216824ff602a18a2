// Python's formatting with %.
#include <fmt/format.h>
#include <fmt/printf.h>

#include <algorithm>

#include "base/try.h"
#include "text/chat_template/access.h"
#include "text/chat_template/characters.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/pad_text.h"
#include "text/chat_template/python_format.h"

namespace puna::text::jinja {
namespace {

/// %(key)-08.3f
struct Conversion {
    std::string flags;
    std::int64_t width = 0;
    std::int64_t precision = -1;
    char type = 0;
};

class Formatter {
  public:
    Formatter(Evaluator& evaluator, const Text& format, const Value& arguments)
        : evaluator_(evaluator), format_(format), bytes_(format.bytes()), arguments_(arguments) {
        const Sequence* tuple = arguments.as_sequence();
        if (tuple != nullptr && tuple->is_tuple()) tuple_ = tuple;
    }

    Result<Value> run() {
        TextBuilder builder(evaluator_.budget());
        while (position_ < bytes_.size()) {
            const std::size_t percent = std::min(bytes_.find('%', position_), bytes_.size());
            builder.append(format_, position_, percent);
            position_ = percent + 1;
            if (percent == bytes_.size()) break;
            PUNA_CHECK(convert(builder));
        }
        // Whatever has elements passes for a mapping, of which no more than the format names is taken.
        const bool is_mapping =
            arguments_.as_dict() != nullptr || arguments_.as_sequence() != nullptr || arguments_.is_undefined();
        const bool left_over = tuple_ != nullptr ? next_ < tuple_->items().size() : next_ == 0 && !is_mapping;
        if (left_over) return evaluator_.fail("not all arguments converted during string formatting");
        return Value(builder.take_shared());
    }

  private:
    char take() { return position_ < bytes_.size() ? bytes_[position_++] : '\0'; }
    char peek() const { return position_ < bytes_.size() ? bytes_[position_] : '\0'; }

    Result<Value> next_argument() {
        const std::size_t index = next_++;
        if (tuple_ != nullptr && index < tuple_->items().size()) return tuple_->items()[index];
        if (tuple_ == nullptr && index == 0) return arguments_;
        return evaluator_.fail("not enough arguments for format string");
    }

    /// A number in the format, or `*` for the next argument; `otherwise` if there is neither.
    Result<std::int64_t> read_number(std::int64_t otherwise) {
        if (peek() == '*') {
            take();
            PUNA_TRY(const Value value, next_argument());
            const auto number = value.as_integer();
            if (!number) return evaluator_.fail("* wants int");
            return static_cast<std::int64_t>(std::clamp<Integer>(*number, 0, most_width));
        }
        std::int64_t number = peek() >= '0' && peek() <= '9' ? 0 : otherwise;
        while (peek() >= '0' && peek() <= '9')
            number = std::min<std::int64_t>(number * 10 + (take() - '0'), most_width);
        return number;
    }

    Result<void> convert(TextBuilder& builder) {
        std::optional<Value> keyed;
        if (peek() == '(') {
            const std::size_t end = bytes_.find(')', position_);
            if (end == std::string_view::npos) return evaluator_.fail("incomplete format key");
            const Dict* dict = arguments_.as_dict();
            if (dict == nullptr) return evaluator_.fail("format requires a mapping");
            const std::string_view key = bytes_.substr(position_ + 1, end - position_ - 1);
            const Value* found = dict->find(key);
            if (found == nullptr) return evaluator_.fail(fmt::format("the format's key '{}' is not there", key));
            keyed = *found;
            position_ = end + 1;
        }
        Conversion conversion;
        while (std::string_view("-+ #0").find(peek()) != std::string_view::npos && peek() != '\0')
            conversion.flags += take();
        PUNA_TRY(conversion.width, read_number(0));
        if (peek() == '.') {
            take();
            PUNA_TRY(conversion.precision, read_number(0));
        }
        while (peek() == 'l' || peek() == 'h' || peek() == 'L')
            take();
        conversion.type = take();
        if (conversion.type == '%') {
            builder.append("%", format_.origin_at(position_ - 1));
            return {};
        }
        if (conversion.type == '\0') return evaluator_.fail("incomplete format");
        if (!keyed) {
            PUNA_TRY(keyed, next_argument());
        }
        return write(builder, conversion, *keyed);
    }

    Result<void> write(TextBuilder& builder, const Conversion& conversion, const Value& value) {
        switch (conversion.type) {
            case 's':
            case 'r': return write_text(builder, conversion, value);
            case 'd':
            case 'i':
            case 'u':
            case 'x':
            case 'X':
            case 'o': return write_integer(builder, conversion, value);
            case 'e':
            case 'E':
            case 'f':
            case 'F':
            case 'g':
            case 'G': return write_float(builder, conversion, value);
            default: return evaluator_.fail(fmt::format("unsupported format character '{}'", conversion.type));
        }
    }

    Result<void> write_text(TextBuilder& builder, const Conversion& conversion, const Value& value) {
        TextBuilder own(evaluator_.budget());
        if (conversion.type == 'r') {
            append_repr(own, value);
        } else {
            append_str(own, value);
        }
        Text text = own.take();
        if (conversion.precision >= 0) {
            own.append(text, 0, byte_offset(text.bytes(), static_cast<std::size_t>(conversion.precision)));
            text = own.take();
        }
        pad(builder, conversion, text);
        return {};
    }

    /// A number's digits with sign, padded with zeros if the flag says so.
    void write_number(TextBuilder& builder, const Conversion& conversion, bool negative, std::string digits) {
        std::string sign;
        if (negative) {
            sign = "-";
        } else if (conversion.flags.find('+') != std::string::npos) {
            sign = "+";
        } else if (conversion.flags.find(' ') != std::string::npos) {
            sign = " ";
        }
        const bool zeros =
            conversion.flags.find('0') != std::string::npos && conversion.flags.find('-') == std::string::npos;
        const std::size_t length = sign.size() + digits.size();
        const auto width = static_cast<std::size_t>(conversion.width);
        if (zeros && length < width && evaluator_.budget().spend_text(width)) digits.insert(0, width - length, '0');
        pad(builder, conversion, Text(sign + digits, Origin::templ));
    }

    Result<void> write_integer(TextBuilder& builder, const Conversion& conversion, const Value& value) {
        PUNA_CHECK(evaluator_.require_defined(value));
        std::optional<Integer> integer = value.as_integer();
        const bool is_decimal = conversion.type == 'd' || conversion.type == 'i' || conversion.type == 'u';
        if (const double* number = value.as_float();
            number != nullptr && is_decimal && *number > -0x1p100 && *number < 0x1p100) {
            integer = static_cast<Integer>(*number);
        }
        if (!integer) {
            return evaluator_.fail(
                fmt::format("%{} format: a real number is required, not {}", conversion.type, value.type_name()));
        }
        const bool negative = *integer < 0;
        const auto magnitude =
            negative ? -static_cast<UnsignedInteger>(*integer) : static_cast<UnsignedInteger>(*integer);
        std::string digits;
        switch (conversion.type) {
            case 'x': digits = fmt::format("{:x}", magnitude); break;
            case 'X': digits = fmt::format("{:X}", magnitude); break;
            case 'o': digits = fmt::format("{:o}", magnitude); break;
            default: digits = fmt::format("{}", magnitude); break;
        }
        const auto precision = static_cast<std::size_t>(std::max<std::int64_t>(conversion.precision, 0));
        if (digits.size() < precision && evaluator_.budget().spend_text(precision)) {
            digits.insert(0, precision - digits.size(), '0');
        }
        if (conversion.flags.find('#') != std::string::npos && !is_decimal) {
            digits.insert(0, std::string("0") + conversion.type);
        }
        write_number(builder, conversion, negative, std::move(digits));
        return {};
    }

    Result<void> write_float(TextBuilder& builder, const Conversion& conversion, const Value& value) {
        PUNA_CHECK(evaluator_.require_defined(value));
        const auto number = value.to_float();
        if (!number) return evaluator_.fail(fmt::format("must be real number, not {}", value.type_name()));
        if (conversion.precision > 400) return evaluator_.fail("precision too big");
        const int precision = conversion.precision < 0 ? 6 : static_cast<int>(conversion.precision);
        const std::string alternate = conversion.flags.find('#') != std::string::npos ? "#" : "";
        const double magnitude = std::signbit(*number) ? -*number : *number;
        write_number(builder, conversion, std::signbit(*number) && !std::isnan(*number),
                     fmt::sprintf("%" + alternate + ".*" + conversion.type, precision, magnitude));
        return {};
    }

    void pad(TextBuilder& builder, const Conversion& conversion, const Text& text) {
        const bool left = conversion.flags.find('-') != std::string::npos;
        const Value padded = pad_text(evaluator_, text, conversion.width, Text(" ", Origin::templ),
                                      left ? Alignment::left : Alignment::right);
        builder.append(*padded.as_text());
    }

    static constexpr std::int64_t most_width = 1 << 30;

    Evaluator& evaluator_;
    const Text& format_;
    std::string_view bytes_;
    const Value& arguments_;
    const Sequence* tuple_ = nullptr;
    std::size_t position_ = 0;
    std::size_t next_ = 0;  // argument
};

}  // namespace

Result<Value> format_printf(Evaluator& evaluator, const Text& format, const Value& arguments) {
    return Formatter(evaluator, format, arguments).run();
}

}  // namespace puna::text::jinja
