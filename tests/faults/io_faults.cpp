// libnsa-io-faults.so, loaded in front of a dynamically linked program by LD_PRELOAD: the k-th call of one
// class on a regular file fails, or ends the process.
//
//   NSA_IO_FAULT=class:k:action   class: write (write, pwrite, writev), sync (fsync, fdatasync), rename,
//   truncate
//                                 k: from 1, counted over all threads
//                                 action: eio, enospc (this call fails), kill (SIGKILL instead of the call),
//                                 skip (no such call is made from the first on, and all are said to have
//                                 succeeded)
//   NSA_IO_FAULT_PROGRAM=name     only in programs of that name: what a program starts inherits the order,
//   and a
//                                 program that is not linked statically, as under a sanitizer, would obey it
//   NSA_IO_FAULT_FROM=file        calls are counted only while this file exists; without it, from the start
//   NSA_IO_FAULT_LOG=file         gets the order's text when it takes effect
//
// C calls only, no locks: it runs inside whatever the program does.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace {

enum class Class { kNone, kWrite, kSync, kRename, kTruncate };

struct Order {
    Order() {
        text = std::getenv("NSA_IO_FAULT");
        if (text == nullptr) return;
        const char* colon = std::strchr(text, ':');
        const char* second = colon == nullptr ? nullptr : std::strchr(colon + 1, ':');
        if (second == nullptr)
            std::_Exit(2);  // a misspelt order must not look like a fault that does no harm
        at = std::strtol(colon + 1, nullptr, 10);
        const auto is = [&](const char* name) {
            return std::strncmp(text, name, static_cast<std::size_t>(colon - text)) == 0;
        };
        what = is("write")    ? Class::kWrite
               : is("sync")   ? Class::kSync
               : is("rename") ? Class::kRename
                              : Class::kTruncate;
        skip = std::strcmp(second, ":skip") == 0;
        error = std::strcmp(second, ":eio") == 0 ? EIO : std::strcmp(second, ":enospc") == 0 ? ENOSPC : 0;
    }
    const char* text = nullptr;
    const char* from = std::getenv("NSA_IO_FAULT_FROM");
    const char* program = std::getenv("NSA_IO_FAULT_PROGRAM");
    bool is_here = program == nullptr || std::strcmp(program, program_invocation_short_name) == 0;
    Class what = Class::kNone;
    long at = 0;
    int error = 0;  // 0: SIGKILL
    bool skip = false;
    std::atomic<long> calls{0};
};

Order& order() {
    static Order one;
    return one;
}

// By system call: the program's own functions are ours now.
void tell(const char* text) {
    const char* file = std::getenv("NSA_IO_FAULT_LOG");
    if (file == nullptr) return;
    const long fd = ::syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ::syscall(SYS_write, fd, text, std::strlen(text));
    ::syscall(SYS_close, fd);
}

// True when this call is the one that fails; errno is set.
bool fails(Class what) {
    Order& now = order();
    if (what != now.what || now.skip || !now.is_here) return false;
    if (now.from != nullptr && ::syscall(SYS_faccessat, AT_FDCWD, now.from, F_OK) != 0) return false;
    if (++now.calls != now.at) return false;
    tell(now.text);
    if (now.error == 0) ::kill(::getpid(), SIGKILL);
    errno = now.error;
    return true;
}

bool is_skipped(Class what) {
    return order().skip && order().what == what && order().is_here;
}

bool is_file(int fd) {
    struct stat status {};
    return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

template <class F>
F next(const char* name) {
    return reinterpret_cast<F>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

#define NSA_REAL(name) static const auto real = next<decltype(&::name)>(#name)

extern "C" {

ssize_t write(int fd, const void* bytes, size_t size) {
    NSA_REAL(write);
    return is_file(fd) && fails(Class::kWrite) ? -1 : real(fd, bytes, size);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
    NSA_REAL(pwrite);
    return is_file(fd) && fails(Class::kWrite) ? -1 : real(fd, bytes, size, at);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t at) {
    NSA_REAL(pwrite64);
    return is_file(fd) && fails(Class::kWrite) ? -1 : real(fd, bytes, size, at);
}
ssize_t writev(int fd, const iovec* pieces, int count) {
    NSA_REAL(writev);
    return is_file(fd) && fails(Class::kWrite) ? -1 : real(fd, pieces, count);
}
int fsync(int fd) {
    NSA_REAL(fsync);
    if (is_skipped(Class::kSync)) return 0;
    return fails(Class::kSync) ? -1 : real(fd);
}
int fdatasync(int fd) {
    NSA_REAL(fdatasync);
    if (is_skipped(Class::kSync)) return 0;
    return fails(Class::kSync) ? -1 : real(fd);
}
int syncfs(int fd) noexcept {
    NSA_REAL(syncfs);
    if (is_skipped(Class::kSync)) return 0;
    return fails(Class::kSync) ? -1 : real(fd);
}
int rename(const char* from, const char* to) noexcept {
    NSA_REAL(rename);
    return fails(Class::kRename) ? -1 : real(from, to);
}
int ftruncate(int fd, off_t size) noexcept {
    NSA_REAL(ftruncate);
    return fails(Class::kTruncate) ? -1 : real(fd, size);
}
int ftruncate64(int fd, off64_t size) noexcept {
    NSA_REAL(ftruncate64);
    return fails(Class::kTruncate) ? -1 : real(fd, size);
}

}  // extern "C"
