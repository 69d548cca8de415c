#include "nsa_core/golden/pickle.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "nsa_core/errors.hpp"
#include "nsa_core/golden/pickle_values.hpp"

namespace nsa::core::golden {
namespace {

using namespace pickled;

// Opcodes, named as in Python's pickletools.
enum Opcode : unsigned char {
    kProto = 0x80,
    kMark = '(',
    kStop = '.',
    kEmptyDict = '}',
    kEmptyTuple = ')',
    kTuple = 't',
    kTuple1 = 0x85,
    kTuple2 = 0x86,
    kTuple3 = 0x87,
    kNone = 'N',
    kNewTrue = 0x88,
    kNewFalse = 0x89,
    kBinInt = 'J',
    kBinInt1 = 'K',
    kBinInt2 = 'M',
    kLong1 = 0x8a,
    kBinFloat = 'G',
    kBinUnicode = 'X',
    kGlobal = 'c',
    kBinPersId = 'Q',
    kReduce = 'R',
    kSetItem = 's',
    kSetItems = 'u',
    kBinPut = 'q',
    kLongBinPut = 'r',
    kBinGet = 'h',
    kLongBinGet = 'j',
};

constexpr std::size_t kMostValues = 64 * kMostTensors;

class Machine {
  public:
    explicit Machine(ByteView pickle) : pickle_{pickle} {}

    PickledFile run() {
        if (byte() != kProto || byte() != 2) {
            throw InputError{
                "the pickle is not of protocol 2, which torch.save writes unless told otherwise"};
        }
        while (true) {
            const unsigned char opcode = byte();
            if (opcode == kStop) break;
            if (!value(opcode) && !structure(opcode)) refuse(opcode);
        }
        return file_of(arena_, pop());
    }

  private:
    [[noreturn]] void refuse(unsigned char opcode) const {
        throw InputError{
            "the pickle has opcode " + std::to_string(opcode) + " at byte " + std::to_string(at_ - 1) +
            ": only what torch.save writes for tensors, dictionaries, texts and numbers is read"};
    }

    ByteView take(std::size_t count) {
        if (count > pickle_.size() - at_) throw InputError{"the pickle ends within a value"};
        at_ += count;
        return pickle_.subspan(at_ - count, count);
    }
    unsigned char byte() { return std::to_integer<unsigned char>(take(1)[0]); }
    std::uint64_t number(std::size_t width) {
        std::uint64_t value = 0;
        const ByteView bytes = take(width);
        for (std::size_t i = width; i-- > 0;)
            value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
        return value;
    }
    std::string text(std::size_t count) {
        const ByteView bytes = take(count);
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
    std::string line() {
        const ByteView rest = pickle_.subspan(at_);
        const auto end = std::find(rest.begin(), rest.end(), std::byte{'\n'});
        if (end == rest.end()) throw InputError{"the pickle ends within a name"};
        std::string out = text(static_cast<std::size_t>(end - rest.begin()));
        ++at_;
        check_name(out);
        return out;
    }

    void push(Value value) {
        if (arena_.size() == kMostValues) throw InputError{"the pickle holds too many values"};
        arena_.push_back(std::move(value));
        stack_.push_back(arena_.size() - 1);
    }
    Index pop() {
        const std::size_t floor = marks_.empty() ? 0 : marks_.back();
        if (stack_.size() <= floor) throw InputError{"the pickle takes a value where there is none"};
        const Index top = stack_.back();
        stack_.pop_back();
        return top;
    }
    std::vector<Index> pop_to_mark() {
        if (marks_.empty()) throw InputError{"the pickle closes what it has not opened"};
        const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
        std::vector<Index> items{first, stack_.end()};
        stack_.erase(first, stack_.end());
        marks_.pop_back();
        return items;
    }
    void push_tuple(std::size_t count) {
        std::vector<Index> items(count);
        for (std::size_t i = count; i-- > 0;)
            items[i] = pop();
        push(Tuple{std::move(items)});
    }

    // Little-endian two's complement of any length; only what fits is read.
    std::int64_t long_number() {
        const std::size_t width = byte();
        if (width > 8) throw InputError{"the pickle holds a number beyond 64 bits"};
        if (width == 0) return 0;
        std::uint64_t value = number(width);
        if (width < 8 && value >> (8 * width - 1) != 0) value |= ~std::uint64_t{0} << (8 * width);
        return static_cast<std::int64_t>(value);
    }
    double float_number() {
        std::uint64_t bits = 0;
        for (int i = 0; i < 8; ++i)
            bits = bits << 8 | byte();  // the one big-endian number in a pickle
        double value = 0;
        std::memcpy(&value, &bits, sizeof value);
        return value;
    }

    // Opcodes that push a value of their own. False: another opcode.
    bool value(unsigned char opcode) {
        switch (opcode) {
            case kNone:
                return push(None{}), true;
            case kNewTrue:
                return push(true), true;
            case kNewFalse:
                return push(false), true;
            case kBinInt:
                return push(std::int64_t{static_cast<std::int32_t>(number(4))}), true;
            case kBinInt1:
                return push(static_cast<std::int64_t>(number(1))), true;
            case kBinInt2:
                return push(static_cast<std::int64_t>(number(2))), true;
            case kLong1:
                return push(long_number()), true;
            case kBinFloat:
                return push(float_number()), true;
            case kBinUnicode:
                return push(text(number(4))), true;
            case kGlobal: {
                std::string module = line();
                return push(Global{std::move(module) + " " + line()}), true;
            }
            case kEmptyDict:
                return push(Dict{}), true;
            case kEmptyTuple:
                return push(Tuple{}), true;
            default:
                return false;
        }
    }

    // Opcodes that work on values. False: another opcode.
    bool structure(unsigned char opcode) {
        switch (opcode) {
            case kMark:
                return marks_.push_back(stack_.size()), true;
            case kTuple:
                return push(Tuple{pop_to_mark()}), true;
            case kTuple1:
            case kTuple2:
            case kTuple3:
                return push_tuple(opcode - kTuple1 + 1u), true;
            case kSetItem: {
                const Index item = pop(), key = pop();
                return set_items({key, item}), true;
            }
            case kSetItems:
                return set_items(pop_to_mark()), true;
            case kReduce: {
                const Index arguments = pop(), function = pop();
                return push(called(arena_, function, arguments)), true;
            }
            case kBinPersId:
                return push(storage_of(arena_, pop())), true;
            case kBinPut:
                return remember(number(1)), true;
            case kLongBinPut:
                return remember(number(4)), true;
            case kBinGet:
                return recall(number(1)), true;
            case kLongBinGet:
                return recall(number(4)), true;
            default:
                return false;
        }
    }

    void set_items(const std::vector<Index>& items) {
        const Index top = pop();
        auto* dict = std::get_if<Dict>(&arena_[top]);
        if (!dict || items.size() % 2 != 0)
            throw InputError{"the pickle sets items of what is no dictionary"};
        for (std::size_t i = 0; i < items.size(); i += 2)
            dict->items.emplace_back(items[i], items[i + 1]);
        stack_.push_back(top);
    }
    void remember(std::uint64_t place) {
        const Index top = pop();
        stack_.push_back(top);
        memo_[place] = top;
    }
    void recall(std::uint64_t place) {
        const auto found = memo_.find(place);
        if (found == memo_.end()) throw InputError{"the pickle recalls what it has not remembered"};
        stack_.push_back(found->second);
    }

    ByteView pickle_;
    std::size_t at_ = 0;
    std::vector<Value> arena_;
    std::vector<Index> stack_;
    std::vector<std::size_t> marks_;  // heights of the stack
    std::map<std::uint64_t, Index> memo_;
};

class Writer {
  public:
    void op(unsigned char opcode) { out.push_back(std::byte{opcode}); }
    void number(std::uint64_t value, std::size_t width) {
        for (std::size_t i = 0; i < width; ++i)
            out.push_back(static_cast<std::byte>(value >> (8 * i) & 0xFF));
    }
    void text(std::string_view value) {
        op(kBinUnicode);
        number(value.size(), 4);
        raw(value);
    }
    void whole(std::int64_t value) {
        op(kLong1);
        number(8, 1);
        number(static_cast<std::uint64_t>(value), 8);
    }
    void global(std::string_view name) {  // "module name"
        op(kGlobal);
        const std::size_t blank = name.find(' ');
        raw(name.substr(0, blank));
        raw("\n");
        raw(name.substr(blank + 1));
        raw("\n");
    }
    void tuple(const std::vector<std::int64_t>& values) {
        op(kMark);
        for (const std::int64_t value : values)
            whole(value);
        op(kTuple);
    }
    void tensor(const TensorView& view);

    Bytes out;

  private:
    void raw(std::string_view value) {
        for (const char c : value)
            out.push_back(static_cast<std::byte>(c));
    }
};

std::string storage_name(Element element) {
    constexpr std::array<const char*, 6> kNames{"Double", "Float", "Half", "BFloat16", "Long", "Int"};
    return std::string{"torch "} + kNames[static_cast<std::size_t>(element)] + "Storage";
}

void Writer::tensor(const TensorView& view) {
    global("torch._utils _rebuild_tensor_v2");
    op(kMark);
    op(kMark);
    text("storage");
    global(storage_name(view.element));
    text(view.storage);
    text("cpu");
    whole(view.storage_elements);
    op(kTuple);
    op(kBinPersId);
    whole(view.offset);
    tuple(view.shape);
    tuple(view.strides);
    op(kNewFalse);
    global("collections OrderedDict");
    op(kEmptyTuple);
    op(kReduce);
    op(kTuple);
    op(kReduce);
}

}  // namespace

PickledFile parse_pickle(ByteView pickle) {
    if (pickle.size() > kMostHeaderBytes) {
        throw InputError{"the pickle is " + std::to_string(pickle.size()) + " bytes long; at most " +
                         std::to_string(kMostHeaderBytes) + " are read"};
    }
    return Machine{pickle}.run();
}

Bytes pickle_bytes(const PickledFile& file) {
    Writer writer;
    writer.op(kProto);
    writer.number(2, 1);
    writer.op(kEmptyDict);
    writer.op(kMark);
    writer.text("__metadata__");
    writer.op(kEmptyDict);
    writer.op(kMark);
    for (const auto& [name, value] : file.metadata) {
        writer.text(name);
        writer.text(value);
    }
    writer.op(kSetItems);
    for (const auto& [name, view] : file.tensors) {
        writer.text(name);
        writer.tensor(view);
    }
    writer.op(kSetItems);
    writer.op(kStop);
    return std::move(writer.out);
}

}  // namespace nsa::core::golden
