/* Preloaded into a process: logs, or fails, each call that changes or reads files of one folder. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { OPEN = 1, WRITE, TRUNCATE, ALLOCATE, FSYNC, CLOSE, RENAME, UNLINK, READ, MARK };
enum { ALL = 1, FULL };  /* what fails after the Nth: nothing more, or all that takes room */

static char folder[1024];
static unsigned char watched[4096];  /* descriptors on files in the folder; 2: open for writing */
static int log_fd = -1;
static long nth, count, failing;
static int failure, sticky;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

void shim_watch(const char *path) { strncpy(folder, path, sizeof folder - 1); }
void shim_log(int fd) { log_fd = fd; }
void shim_fail(long n, int error, int full) { nth = n; failure = error; sticky = full; count = failing = 0; }
long shim_count(void) { return count; }

static int is_ours(const char *path) {
    size_t n = strlen(folder);
    return n && !strncmp(path, folder, n) && (path[n] == '/' || !path[n]);
}
static int is_on(int fd) { return fd >= 0 && fd < 4096 && watched[fd]; }

static void record(int op, int fd, int64_t a, int64_t b, const void *data, size_t n) {
    if (log_fd < 0) return;
    struct { int32_t op, fd; int64_t a, b, n; } head = {op, fd, a, b, (int64_t)n};
    int error = errno;
    REAL(write)(log_fd, &head, sizeof head);
    if (n) REAL(write)(log_fd, data, n);
    errno = error;
}
void shim_mark(void) { record(MARK, -1, 0, 0, NULL, 0); }

/* Tell whether this call is to fail; `room`: it needs room on the disk. */
static int fails(int op, int room) {
    if (!nth) return 0;
    if (op == READ && failure != EIO) return 0;
    if (failing && sticky && room) { errno = failure; return 1; }
    if (failing) return 0;
    if (sticky && !room && op != FSYNC && op != CLOSE) return 0;
    if (++count != nth) return 0;
    failing = op;
    errno = failure;
    return 1;
}
long shim_failed(void) { return failing; }

static int opened(const char *path, int flags, int fd, int was_there) {
    if (fd >= 0 && fd < 4096 && is_ours(path)) {
        watched[fd] = (flags & O_ACCMODE) == O_RDONLY ? 1 : 2;
        record(OPEN, fd, flags, was_there, path, strlen(path));
    }
    return fd;
}
static int do_open(const char *name, const char *path, int flags, mode_t mode) {
    int ours = is_ours(path);
    if (ours && (flags & (O_CREAT | O_TRUNC)) && fails(OPEN, 1)) return -1;
    int was_there = ours && REAL(access)(path, F_OK) == 0;
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, name);
    return opened(path, flags, real(path, flags, mode), was_there);
}
#define OPENS(name) int name(const char *path, int flags, ...) { \
    va_list more; va_start(more, flags); mode_t mode = (flags & O_CREAT) ? va_arg(more, mode_t) : 0; \
    va_end(more); return do_open(#name, path, flags, mode); }
OPENS(open) OPENS(open64)
#define OPENATS(name) int name(int at, const char *path, int flags, ...) { \
    va_list more; va_start(more, flags); mode_t mode = (flags & O_CREAT) ? va_arg(more, mode_t) : 0; \
    va_end(more); if (is_ours(path)) return do_open("open64", path, flags, mode); \
    return REAL(name)(at, path, flags, mode); }
OPENATS(openat) OPENATS(openat64)

int close(int fd) {
    /* What was only read is closed without fail, also by a network file system. */
    int writable = is_on(fd) && watched[fd] == 2;
    if (is_on(fd)) { watched[fd] = 0; record(CLOSE, fd, 0, 0, NULL, 0); }
    int bad = writable && fails(CLOSE, 0), error = errno;
    int done = REAL(close)(fd);
    if (bad) { errno = error; return -1; }
    return done;
}
ssize_t write(int fd, const void *from, size_t n) {
    if (!is_on(fd)) return REAL(write)(fd, from, n);
    if (fails(WRITE, 1)) return -1;
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t put = REAL(write)(fd, from, n);
    if (put > 0) record(WRITE, fd, at, 0, from, put);
    return put;
}
#define PWRITES(name) ssize_t name(int fd, const void *from, size_t n, off_t at) { \
    if (!is_on(fd)) return REAL(name)(fd, from, n, at); \
    if (fails(WRITE, 1)) { \
        if (failure != EINTR && sticky && n > 1 && count % 2) { \
            /* a full disk takes a part first */ \
            record(WRITE, fd, at, 0, from, n / 2); return REAL(name)(fd, from, n / 2, at); } \
        return -1; } \
    ssize_t put = REAL(name)(fd, from, n, at); \
    if (put > 0) record(WRITE, fd, at, 0, from, put); \
    return put; }
PWRITES(pwrite) PWRITES(pwrite64)
#define PREADS(name) ssize_t name(int fd, void *to, size_t n, off_t at) { \
    if (is_on(fd) && fails(READ, 0)) return -1; \
    return REAL(name)(fd, to, n, at); }
PREADS(pread) PREADS(pread64)
#define TRUNCATES(name) int name(int fd, off_t size) { \
    if (!is_on(fd)) return REAL(name)(fd, size); \
    if (fails(TRUNCATE, size > lseek(fd, 0, SEEK_END))) return -1; \
    int done = REAL(name)(fd, size); \
    if (!done) record(TRUNCATE, fd, size, 0, NULL, 0); \
    return done; }
TRUNCATES(ftruncate) TRUNCATES(ftruncate64)
#define ALLOCATES(name) int name(int fd, off_t at, off_t n) { \
    if (!is_on(fd)) return REAL(name)(fd, at, n); \
    if (fails(ALLOCATE, 1)) return failure; \
    int error = REAL(name)(fd, at, n); \
    if (!error) record(ALLOCATE, fd, at, n, NULL, 0); \
    return error; }
ALLOCATES(posix_fallocate) ALLOCATES(posix_fallocate64)
#define SYNCS(name) int name(int fd) { \
    if (!is_on(fd)) return REAL(name)(fd); \
    if (fails(FSYNC, 0)) return -1; \
    int done = REAL(name)(fd); \
    if (!done) record(FSYNC, fd, 0, 0, NULL, 0); \
    return done; }
SYNCS(fsync) SYNCS(fdatasync)
int rename(const char *from, const char *to) {
    if (!is_ours(from) && !is_ours(to)) return REAL(rename)(from, to);
    if (fails(RENAME, 0)) return -1;
    int done = REAL(rename)(from, to);
    char both[2048]; size_t a = strlen(from), b = strlen(to);
    if (!done && a + b + 1 < sizeof both) {
        memcpy(both, from, a); both[a] = 0; memcpy(both + a + 1, to, b);
        record(RENAME, -1, 0, 0, both, a + b + 1);
    }
    return done;
}
int unlink(const char *path) {
    if (!is_ours(path)) return REAL(unlink)(path);
    if (fails(UNLINK, 0)) return -1;
    int done = REAL(unlink)(path);
    if (!done) record(UNLINK, -1, 0, 0, path, strlen(path));
    return done;
}
/* No copies beside the log: FICLONE would make one. */
int ioctl(int fd, unsigned long what, ...) {
    va_list more; va_start(more, what); void *argument = va_arg(more, void *); va_end(more);
    if (is_on(fd)) { errno = EOPNOTSUPP; return -1; }
    return REAL(ioctl)(fd, what, argument);
}
