#include "nsa_core/golden/zip.hpp"

#include <algorithm>
#include <array>

#include "nsa_core/errors.hpp"

// Layout of records: APPNOTE.TXT of PKWARE, sections 4.3.7 (local header), 4.3.12 (central directory)
// and 4.3.16 (its end).
namespace nsa::core::golden {
namespace {

constexpr std::size_t kLocalBytes = 30;
constexpr std::size_t kCentralBytes = 46;
constexpr std::size_t kEndBytes = 22;
constexpr std::uint32_t kLocalMagic = 0x04034b50;
constexpr std::uint32_t kCentralMagic = 0x02014b50;
constexpr std::uint32_t kEndMagic = 0x06054b50;
constexpr std::size_t kMostMembers = kMostTensors + 16;

std::uint64_t number(ByteView bytes, std::size_t at, std::size_t width) {
    std::uint64_t value = 0;
    for (std::size_t i = width; i-- > 0;)
        value = value << 8 | std::to_integer<std::uint64_t>(bytes[at + i]);
    return value;
}

ByteView part(ByteView archive, std::uint64_t at, std::uint64_t count, const char* what) {
    if (at > archive.size() || count > archive.size() - at) {
        throw InputError{std::string{what} + " lies outside the file: truncated, or no zip archive"};
    }
    return archive.subspan(at, count);
}

void expect_magic(ByteView record, std::uint32_t magic, const char* what) {
    if (number(record, 0, 4) != magic) {
        throw InputError{
            std::string{"there is no "} + what +
            " where one must be: truncated, damaged, or no file of torch.save (torch 1.6 or newer)"};
    }
}

// CRC-32 of IEEE 802.3, reflected, as zip uses it.
std::uint32_t crc32(ByteView bytes) {
    static const auto table = [] {
        std::array<std::uint32_t, 256> values{};
        for (std::uint32_t i = 0; i < values.size(); ++i) {
            values[i] = i;
            for (int bit = 0; bit < 8; ++bit)
                values[i] = values[i] & 1 ? 0xEDB88320u ^ values[i] >> 1 : values[i] >> 1;
        }
        return values;
    }();
    std::uint32_t crc = 0xFFFFFFFFu;
    for (const std::byte byte : bytes)
        crc = table[(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xFF] ^ crc >> 8;
    return ~crc;
}

struct Member {
    std::string name;
    std::size_t begin = 0;  // of its bytes, in the archive
    std::size_t size = 0;
    std::uint32_t crc = 0;
};

// The member that the central record at `at` describes; moves `at` behind it.
Member member_at(ByteView archive, std::size_t& at) {
    const ByteView record = part(archive, at, kCentralBytes, "a record of the zip directory");
    expect_magic(record, kCentralMagic, "record of the zip directory");
    const std::size_t name_bytes = number(record, 28, 2);
    const std::size_t more_bytes = number(record, 30, 2) + number(record, 32, 2);
    const ByteView name = part(archive, at + kCentralBytes, name_bytes, "a name in the zip directory");
    at += kCentralBytes + name_bytes + more_bytes;
    Member member{.name = {reinterpret_cast<const char*>(name.data()), name.size()},
                  .begin = 0,
                  .size = number(record, 24, 4),
                  .crc = static_cast<std::uint32_t>(number(record, 16, 4))};
    check_name(member.name);
    if (number(record, 10, 2) != 0 || number(record, 20, 4) != member.size ||
        (number(record, 8, 2) & 1) != 0) {
        throw InputError{"member " + member.name +
                         " is compressed or encrypted; torch.save stores members as they are"};
    }
    const std::size_t local_at = number(record, 42, 4);
    const ByteView local = part(archive, local_at, kLocalBytes, "a member of the zip archive");
    expect_magic(local, kLocalMagic, "member of the zip archive");
    member.begin = local_at + kLocalBytes + number(local, 26, 2) + number(local, 28, 2);
    (void)part(archive, member.begin, member.size, "a member of the zip archive");
    return member;
}

void check_apart(std::vector<Member> members) {
    std::sort(members.begin(), members.end(),
              [](const Member& a, const Member& b) { return a.begin < b.begin; });
    for (std::size_t i = 1; i < members.size(); ++i) {
        if (members[i - 1].begin + members[i - 1].size > members[i].begin) {
            throw InputError{"members " + members[i - 1].name + " and " + members[i].name +
                             " of the zip archive overlap"};
        }
    }
}

void put(Bytes& out, std::uint64_t value, std::size_t width) {
    for (std::size_t i = 0; i < width; ++i)
        out.push_back(static_cast<std::byte>(value >> (8 * i) & 0xFF));
}

void put(Bytes& out, std::string_view text) {
    for (const char c : text)
        out.push_back(static_cast<std::byte>(c));
}

// What the local header and the directory say alike: version, flags (names are UTF-8), method, time (1980,
// the first day there is, so that equal contents make equal files), checksum and sizes.
void put_facts(Bytes& out, const std::string& name, ByteView bytes, std::uint32_t crc) {
    put(out, 20, 2);
    put(out, 0x0800, 2);
    put(out, 0, 2);
    put(out, 0x00210000, 4);
    put(out, crc, 4);
    put(out, bytes.size(), 4);
    put(out, bytes.size(), 4);
    put(out, name.size(), 2);
    put(out, 0, 2);
}

}  // namespace

std::map<std::string, ByteView> zip_members(ByteView archive) {
    if (archive.size() < kEndBytes) throw InputError{"the file is too short for a zip archive"};
    // No comment behind the end record: torch writes none, and a search for it could be led astray.
    const ByteView end = archive.last(kEndBytes);
    expect_magic(end, kEndMagic, "end of a zip archive");
    const std::size_t count = number(end, 10, 2);
    if (count > kMostMembers) throw InputError{"the zip archive has " + std::to_string(count) + " members"};
    std::size_t at = number(end, 16, 4);
    std::vector<Member> members;
    for (std::size_t i = 0; i < count; ++i)
        members.push_back(member_at(archive, at));
    check_apart(members);
    std::map<std::string, ByteView> views;
    for (const Member& member : members) {
        const ByteView bytes = archive.subspan(member.begin, member.size);
        if (member.crc != 0 && crc32(bytes) != member.crc) {
            throw InputError{"member " + member.name + " is damaged: its checksum does not hold"};
        }
        if (!views.emplace(member.name, bytes).second) {
            throw InputError{"member " + member.name + " is in the zip archive twice"};
        }
    }
    return views;
}

Bytes zip_bytes(const std::vector<std::pair<std::string, ByteView>>& members) {
    Bytes out;
    Bytes directory;
    for (const auto& [name, bytes] : members) {
        if (out.size() + bytes.size() > UINT32_MAX - kMostHeaderBytes) {
            throw InputError{"the tensors need more than 4 GiB: write .safetensors"};
        }
        const std::uint32_t crc = crc32(bytes);
        put(directory, kCentralMagic, 4);
        put(directory, 20, 2);
        put_facts(directory, name, bytes, crc);
        put(directory, 0, 2 + 2 + 2);  // no comment, first disk, no attributes inside
        put(directory, 0, 4);          // nor outside
        put(directory, out.size(), 4);
        put(directory, name);

        put(out, kLocalMagic, 4);
        put_facts(out, name, bytes, crc);
        put(out, name);
        out.insert(out.end(), bytes.begin(), bytes.end());
    }
    const std::size_t at = out.size();
    out.insert(out.end(), directory.begin(), directory.end());
    put(out, kEndMagic, 4);
    put(out, 0, 4);  // one disk
    put(out, members.size(), 2);
    put(out, members.size(), 2);
    put(out, directory.size(), 4);
    put(out, at, 4);
    put(out, 0, 2);
    return out;
}

}  // namespace nsa::core::golden
