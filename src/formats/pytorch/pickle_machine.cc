// The machine that a pickle is a program for, cut down to what builds data.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/try.h"
#include "formats/malformed.h"
#include "formats/pytorch/pickle.h"
#include "formats/pytorch/pickle_opcodes.h"

namespace puna::formats::pytorch {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they lie in the file");

constexpr std::uint8_t newest_protocol = 5;
constexpr std::size_t max_arguments = 16;  // twice what any call has

}  // namespace

class PickleMachine {
  public:
    PickleMachine(std::span<const std::byte> file, std::uint64_t begin, std::uint64_t end, std::string_view path,
                  std::string_view field)
        : path_(path), field_(field), at_(begin), end_(end) {
        pickle_.file_ = file;
    }

    Result<Pickle> run() {
        for (std::uint64_t steps = 0; steps < Pickle::max_steps; ++steps) {
            opcode_at_ = at_;
            if (at_ == end_) return malformed(path_, fmt::format("{} ends without STOP", field_), at_);
            opcode_ = std::to_integer<std::uint8_t>(pickle_.file_[at_++]);
            if (opcode_ == STOP) return stop();
            PUNA_CHECK(step());
        }
        return malformed(path_, fmt::format("{} has more than {} opcodes", field_, Pickle::max_steps), at_);
    }

  private:
    using Id = std::uint32_t;
    using Kind = PickleKind;
    using Node = Pickle::Node;

    // ---- Errors ----

    Error fail(std::string_view problem) const {
        return malformed(path_, fmt::format("{}, opcode {} {}", field_, opcode_name(opcode_), problem), opcode_at_);
    }
    Error refuse(std::string_view problem) const {
        Error error = fail(problem);
        error.code = ErrorCode::unsupported_format;
        error.hint =
            "nothing in a pickle is run here: save its tensors alone (a state_dict), or take the model in safetensors";
        return error;
    }

    // ---- Bytes ----

    Result<std::string_view> take(std::uint64_t size) {
        if (size > end_ - at_) {
            return fail(fmt::format("needs {} bytes, but the pickle ends {} bytes on", size, end_ - at_));
        }
        const std::string_view text(reinterpret_cast<const char*>(pickle_.file_.data() + at_), size);
        at_ += size;
        return text;
    }

    template <typename T>
    Result<T> number() {
        PUNA_TRY(const std::string_view bytes, take(sizeof(T)));
        T value;
        std::memcpy(&value, bytes.data(), sizeof value);
        return value;
    }

    /// Up to a line feed, which is taken too.
    Result<std::string_view> line() {
        const auto rest = pickle_.file_.subspan(at_, std::min<std::uint64_t>(end_ - at_, Pickle::max_line_bytes + 1));
        const auto feed = std::find(rest.begin(), rest.end(), std::byte{'\n'});
        if (feed == rest.end()) {
            return fail(fmt::format("has a line that does not end within {} bytes", Pickle::max_line_bytes));
        }
        PUNA_TRY(std::string_view text, take(static_cast<std::uint64_t>(feed - rest.begin()) + 1));
        text.remove_suffix(1);
        return text;
    }

    // ---- Values ----

    Result<void> push_id(Id id) {
        if (stack_.size() == Pickle::max_stack) {
            return fail(fmt::format("makes a stack of more than {} values", Pickle::max_stack));
        }
        stack_.push_back(id);
        return {};
    }

    Result<void> push(Node node) {
        if (node.depth > Pickle::max_depth) return too_deep();
        node.offset = opcode_at_;
        pickle_.nodes_.push_back(node);
        return push_id(static_cast<Id>(pickle_.nodes_.size() - 1));
    }
    Result<void> push(Kind kind, std::uint64_t value = 0) { return push(Node{.kind = kind, .value = value}); }

    Error too_deep() const { return fail(fmt::format("makes containers nested more than {} deep", Pickle::max_depth)); }

    Node& node(Id id) { return pickle_.nodes_[id]; }
    PickleValue value(Id id) const { return {pickle_, id}; }

    /// Values above the last mark.
    std::size_t available() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }
    Result<void> need(std::size_t values) const {
        if (available() >= values) return {};
        return fail(fmt::format("takes {} values, but the stack has {}", values, available()));
    }

    /// The last `count` values of the stack, in their order.
    Result<std::vector<Id>> pop(std::size_t count) {
        PUNA_CHECK(need(count));
        std::vector<Id> values(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
        stack_.resize(stack_.size() - count);
        return values;
    }
    Result<std::vector<Id>> pop_to_mark() {
        if (marks_.empty()) return fail("finds no mark on the stack");
        PUNA_TRY(std::vector<Id> values, pop(available()));
        marks_.pop_back();
        return values;
    }

    // ---- Containers ----

    /// Lists of pairs are copied, as often as they are named.
    Result<void> count_items(std::size_t more) {
        items_ += more;
        if (items_ <= Pickle::max_items) return {};
        return fail(fmt::format("makes containers of more than {} values together", Pickle::max_items));
    }

    Result<void> push_fixed(Kind kind, const std::vector<Id>& values, const Global* global = nullptr) {
        PUNA_CHECK(count_items(values.size()));
        Node made = {.kind = kind, .size = static_cast<std::uint32_t>(values.size()), .global = global};
        made.value = pickle_.items_.size();
        for (const Id id : values)
            made.depth = std::max(made.depth, static_cast<std::uint8_t>(node(id).depth + 1));
        pickle_.items_.insert(pickle_.items_.end(), values.begin(), values.end());
        return push(made);
    }

    Result<void> push_growing(Kind kind, bool ordered = false) {
        pickle_.lists_.emplace_back();
        return push({.kind = kind, .ordered = ordered, .value = pickle_.lists_.size() - 1});
    }

    /// To the list or dict that is the top of the stack.
    Result<void> append(Kind kind, const std::vector<Id>& values) {
        PUNA_CHECK(need(1));
        Node& target = node(stack_.back());
        if (target.kind != kind) {
            return fail(fmt::format("meets {}, not {}", value(stack_.back()).describe(),
                                    kind == Kind::list ? "a list" : "a dict"));
        }
        if (kind == Kind::dict && values.size() % 2 != 0) return fail("meets a key without a value");
        PUNA_CHECK(count_items(values.size()));
        for (const Id id : values) {
            if (node(id).depth >= Pickle::max_depth) return too_deep();
            target.depth = std::max(target.depth, static_cast<std::uint8_t>(node(id).depth + 1));
        }
        auto& list = pickle_.lists_[target.value];
        list.insert(list.end(), values.begin(), values.end());
        return {};
    }
    Result<void> append_last(Kind kind, std::size_t count) {
        PUNA_TRY(const std::vector<Id> values, pop(count));
        return append(kind, values);
    }
    Result<void> append_marked(Kind kind) {
        PUNA_TRY(const std::vector<Id> values, pop_to_mark());
        return append(kind, values);
    }

    Result<void> push_tuple(std::size_t count) {
        PUNA_TRY(const std::vector<Id> values, pop(count));
        return push_fixed(Kind::tuple, values);
    }
    Result<void> push_marked_tuple() {
        PUNA_TRY(const std::vector<Id> values, pop_to_mark());
        return push_fixed(Kind::tuple, values);
    }

    // ---- Numbers and text ----

    template <typename T>
    Result<void> push_integer() {
        PUNA_TRY(const T integer, number<T>());
        return push(Kind::integer, static_cast<std::uint64_t>(static_cast<std::int64_t>(integer)));
    }

    Result<void> push_decimal(std::string_view digits) {
        std::int64_t integer = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), integer);
        if (error != std::errc() || end != digits.data() + digits.size()) {
            return fail(fmt::format("has '{}', which is no integer of 64 bits", printable(digits)));
        }
        return push(Kind::integer, static_cast<std::uint64_t>(integer));
    }

    /// INT: protocol 1 writes booleans so.
    Result<void> push_int() {
        PUNA_TRY(const std::string_view digits, line());
        if (digits == "00" || digits == "01") return push(Kind::boolean, digits == "01" ? 1 : 0);
        return push_decimal(digits);
    }
    Result<void> push_long() {
        PUNA_TRY(std::string_view digits, line());
        if (digits.ends_with('L')) digits.remove_suffix(1);
        return push_decimal(digits);
    }

    /// Two's complement of `size` bytes.
    Result<void> push_wide(std::uint64_t size) {
        const std::uint64_t at = at_;
        PUNA_TRY(const std::string_view bytes, take(size));
        if (size > sizeof(std::int64_t)) {
            return push({.kind = Kind::big_integer, .size = static_cast<std::uint32_t>(size), .value = at});
        }
        const bool negative = size > 0 && static_cast<signed char>(bytes.back()) < 0;
        std::uint64_t integer = negative ? ~std::uint64_t{0} : 0;
        std::memcpy(&integer, bytes.data(), size);
        return push(Kind::integer, integer);
    }

    template <typename Length>
    Result<void> push_text(Kind kind) {
        PUNA_TRY(const Length length, number<Length>());
        const auto size = static_cast<std::uint64_t>(length);  // a negative one is too large
        if (size > Pickle::max_text_bytes) {
            return fail(
                fmt::format("has a length of {} bytes; at most {} are allowed", length, Pickle::max_text_bytes));
        }
        const std::uint64_t at = at_;
        PUNA_CHECK(take(size));
        return push({.kind = kind, .size = static_cast<std::uint32_t>(size), .value = at});
    }

    // ---- Memo ----

    Result<void> put(std::uint64_t key) {
        PUNA_CHECK(need(1));
        memo_[key] = stack_.back();
        return {};
    }
    Result<void> get(std::uint64_t key) {
        const auto found = memo_.find(key);
        if (found == memo_.end()) return fail(fmt::format("takes value {} of the memo, which is not there", key));
        return push_id(found->second);
    }

    // ---- What would make objects ----

    Result<void> push_global(std::string_view module, std::string_view name) {
        const Global* global = find_global(module, name);
        if (global == nullptr) {
            return refuse(fmt::format("names '{}.{}', which no tensor needs", printable(module), printable(name)));
        }
        return push({.kind = Kind::global, .global = global});
    }
    Result<void> push_named_global() {
        PUNA_TRY(const std::string_view module, line());
        PUNA_TRY(const std::string_view name, line());
        return push_global(module, name);
    }
    Result<void> push_stacked_global() {
        PUNA_TRY(const std::vector<Id> two, pop(2));
        if (!value(two[0]).is(Kind::text) || !value(two[1]).is(Kind::text)) {
            return fail(fmt::format("takes {} and {} for a name", value(two[0]).describe(), value(two[1]).describe()));
        }
        return push_global(value(two[0]).text(), value(two[1]).text());
    }

    /// A dict from nothing, or from a list of pairs, as Python 2 wrote it.
    Result<void> call_ordered_dict(PickleValue arguments) {
        if (arguments.size() == 0) return push_growing(Kind::dict, true);
        const PickleValue pairs = arguments.item(0);
        if (arguments.size() != 1 || !pairs.is(Kind::list)) {
            return refuse(fmt::format("makes an OrderedDict of {}, not of a list of pairs", pairs.describe()));
        }
        std::vector<Id> values;
        for (std::size_t i = 0; i < pairs.size(); ++i) {
            const PickleValue pair = pairs.item(i);
            const bool is_pair = (pair.is(Kind::list) || pair.is(Kind::tuple)) && pair.size() == 2;
            if (!is_pair) return refuse(fmt::format("makes an OrderedDict of {}, not of pairs", pair.describe()));
            for (const Id id : pickle_.items(node(pair.id_)))
                values.push_back(id);
        }
        PUNA_CHECK(push_growing(Kind::dict, true));
        return append(Kind::dict, values);
    }

    Result<void> reduce() {
        PUNA_TRY(const std::vector<Id> two, pop(2));
        const PickleValue callee = value(two[0]);
        const PickleValue arguments = value(two[1]);
        if (!arguments.is(Kind::tuple)) return fail(fmt::format("takes {} for arguments", arguments.describe()));
        if (!callee.is(Kind::global)) return refuse(fmt::format("calls {}, which is no global", callee.describe()));
        switch (callee.global().kind) {
            case GlobalKind::ordered_dict: return call_ordered_dict(arguments);
            case GlobalKind::size:
                if (arguments.size() != 1 || !arguments.item(0).is(Kind::tuple)) {
                    return fail("makes a torch.Size of something that is no tuple");
                }
                return push_id(arguments.item(0).id_);
            case GlobalKind::rebuild_tensor:
            case GlobalKind::rebuild_tensor_v2:
            case GlobalKind::rebuild_tensor_v3:
            case GlobalKind::rebuild_parameter: {
                const auto values = pickle_.items(node(arguments.id_));
                if (values.size() > max_arguments) {
                    return fail(fmt::format("calls {} with {} arguments", callee.describe(), values.size()));
                }
                return push_fixed(Kind::call, {values.begin(), values.end()}, &callee.global());
            }
            case GlobalKind::storage:
            case GlobalKind::untyped_storage:
            case GlobalKind::dtype: break;
        }
        return refuse(fmt::format("calls {}, which makes no tensor", callee.describe()));
    }

    /// The state of an OrderedDict is what programs hung on it (`_metadata`): nothing that tensors need.
    Result<void> build() {
        PUNA_TRY(const std::vector<Id> two, pop(2));
        if (!node(two[0]).ordered) {
            return refuse(
                fmt::format("sets the state of {}; only an OrderedDict may have one", value(two[0]).describe()));
        }
        return push_id(two[0]);
    }

    Result<void> push_persistent() {
        PUNA_TRY(const std::vector<Id> id, pop(1));
        pickle_.persistent_.push_back(static_cast<Id>(pickle_.nodes_.size()));
        return push_fixed(Kind::persistent, id);
    }

    // ---- The rest ----

    Result<void> check_protocol() {
        PUNA_TRY(const auto protocol, number<std::uint8_t>());
        if (protocol <= newest_protocol) return {};
        return refuse(fmt::format("has protocol {}; puna reads 1 to {}", protocol, newest_protocol));
    }
    Result<void> check_frame() {
        PUNA_TRY(const auto size, number<std::uint64_t>());
        if (size <= end_ - at_) return {};
        return fail(fmt::format("has a length of {} bytes, but the pickle ends {} bytes on", size, end_ - at_));
    }

    Result<void> mark() {
        if (marks_.size() == Pickle::max_depth) return too_deep();
        marks_.push_back(stack_.size());
        return {};
    }
    Result<void> drop() {
        if (available() > 0) {
            stack_.pop_back();
        } else if (!marks_.empty()) {
            marks_.pop_back();
        } else {
            return fail("finds nothing on the stack");
        }
        return {};
    }
    Result<void> drop_to_mark() {
        PUNA_CHECK(pop_to_mark());
        return {};
    }
    Result<void> duplicate() {
        PUNA_CHECK(need(1));
        return push_id(stack_.back());
    }

    Result<Pickle> stop() {
        if (stack_.size() != 1 || !marks_.empty()) {
            return fail(fmt::format("leaves {} values and {} marks on the stack", stack_.size(), marks_.size()));
        }
        pickle_.root_ = stack_.front();
        pickle_.end_ = at_;
        return std::move(pickle_);
    }

    template <typename Key>
    Result<void> with_key(Result<void> (PickleMachine::*action)(std::uint64_t)) {
        PUNA_TRY(const Key key, number<Key>());
        return (this->*action)(key);
    }

    Result<void> step() {
        switch (opcode_) {
            case PROTO: return check_protocol();
            case FRAME: return check_frame();
            case MARK: return mark();
            case POP: return drop();
            case POP_MARK: return drop_to_mark();
            case DUP: return duplicate();

            case NONE: return push(Kind::none);
            case NEWTRUE: return push(Kind::boolean, 1);
            case NEWFALSE: return push(Kind::boolean, 0);
            case INT: return push_int();
            case LONG: return push_long();
            case BININT: return push_integer<std::int32_t>();
            case BININT1: return push_integer<std::uint8_t>();
            case BININT2: return push_integer<std::uint16_t>();
            case LONG1: {
                PUNA_TRY(const auto size, number<std::uint8_t>());
                return push_wide(size);
            }
            case LONG4: {
                PUNA_TRY(const auto size, number<std::int32_t>());
                if (size < 0) return fail(fmt::format("has a length of {} bytes", size));
                return push_wide(static_cast<std::uint64_t>(size));
            }
            case BINFLOAT: {
                PUNA_CHECK(take(sizeof(double)));
                return push(Kind::real);
            }

            case BINUNICODE:
            case BINSTRING: return push_text<std::uint32_t>(Kind::text);
            case SHORT_BINUNICODE:
            case SHORT_BINSTRING: return push_text<std::uint8_t>(Kind::text);
            case BINUNICODE8: return push_text<std::uint64_t>(Kind::text);
            case BINBYTES: return push_text<std::uint32_t>(Kind::bytes);
            case SHORT_BINBYTES: return push_text<std::uint8_t>(Kind::bytes);
            case BINBYTES8:
            case BYTEARRAY8: return push_text<std::uint64_t>(Kind::bytes);

            case EMPTY_TUPLE: return push_tuple(0);
            case TUPLE1: return push_tuple(1);
            case TUPLE2: return push_tuple(2);
            case TUPLE3: return push_tuple(3);
            case TUPLE: return push_marked_tuple();
            case EMPTY_LIST: return push_growing(Kind::list);
            case APPEND: return append_last(Kind::list, 1);
            case APPENDS: return append_marked(Kind::list);
            case EMPTY_DICT: return push_growing(Kind::dict);
            case SETITEM: return append_last(Kind::dict, 2);
            case SETITEMS: return append_marked(Kind::dict);

            case MEMOIZE: return put(memo_.size());
            case BINPUT: return with_key<std::uint8_t>(&PickleMachine::put);
            case LONG_BINPUT: return with_key<std::uint32_t>(&PickleMachine::put);
            case BINGET: return with_key<std::uint8_t>(&PickleMachine::get);
            case LONG_BINGET: return with_key<std::uint32_t>(&PickleMachine::get);

            case GLOBAL: return push_named_global();
            case STACK_GLOBAL: return push_stacked_global();
            case REDUCE: return reduce();
            case BUILD: return build();
            case BINPERSID: return push_persistent();
            default: break;
        }
        if (!opcode_name(opcode_).empty()) return refuse("makes something that no tensor needs");
        return malformed(path_, fmt::format("{}: 0x{:02X} is no opcode", field_, opcode_), opcode_at_);
    }

    std::string_view path_;
    std::string_view field_;
    std::uint64_t at_;
    std::uint64_t end_;
    std::uint8_t opcode_ = 0;
    std::uint64_t opcode_at_ = 0;
    Pickle pickle_;
    std::vector<Id> stack_;
    std::vector<std::size_t> marks_;  // heights of the stack
    std::size_t items_ = 0;           // of all containers
    std::unordered_map<std::uint64_t, Id> memo_;
};

Result<Pickle> Pickle::read(std::span<const std::byte> file, std::uint64_t begin, std::uint64_t end,
                            std::string_view path, std::string_view field) {
    return PickleMachine(file, begin, end, path, field).run();
}

}  // namespace puna::formats::pytorch
