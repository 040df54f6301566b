/* What a program does to the files under one directory, written down: a library to be preloaded (LD_PRELOAD).
 *
 * POWERCUT_ROOT   the directory, as an absolute path without symbolic links
 * POWERCUT_LOG    the log, outside of it; appended to
 * POWERCUT_KILL   n: instead of doing the n-th fsync of a "-wal" file, the process kills itself as kill -9 does
 *
 * Each operation gives a record before it is done and one after it, in host byte order (powercut.py reads them):
 *
 *   before: 'B' kind[1] pad[2] path[4] data[4] pad[4] file[8] offset[8] size[8], path bytes, data bytes
 *   after:  'A' kind[1] pad[2] created[4] result[8] time[8] file[8]
 *
 * An opening has for `offset` whether it makes the file, for `size` whether it empties it. `file` is the inode's number,
 * `time` CLOCK_MONOTONIC in nanoseconds when it was done. One operation is done at a time, so that the order of the log is
 * that of the operations. Files that end in "-shm" are left out: they are no durable state.
 * What changes a file in a way that is not written down here gives a record of kind 'x', and the log is not to be used.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind {
  OPEN = 'o', MKDIR = 'd', WRITE = 'w', TRUNCATE = 't', SYNC = 's', SYNC_ALL = 'S', RENAME = 'r', UNLINK = 'u',
  RMDIR = 'D', UNKNOWN = 'x'
};

struct before {
  char tag, kind;
  uint16_t pad;
  uint32_t path, data, pad2;
  uint64_t file, offset, size;
};

struct after {
  char tag, kind;
  uint16_t pad;
  uint32_t created;
  int64_t result;
  uint64_t time, file;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_length;
static int log_fd = -1;
static long kill_at, wal_syncs;

/* What is behind a descriptor: nothing of ours, a file or a directory under the root, and whether it is a WAL. */
#define DESCRIPTORS 65536
static char tracked[DESCRIPTORS];
enum { NO, YES, WAL };

__attribute__((constructor)) static void begin(void) {
  const char *where = getenv("POWERCUT_ROOT"), *log = getenv("POWERCUT_LOG"), *at = getenv("POWERCUT_KILL");
  if (!where || !log) return;
  root_length = strlen(where);
  if (root_length >= sizeof root) abort();
  memcpy(root, where, root_length + 1);
  log_fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (log_fd < 0) abort();
  kill_at = at ? atol(at) : 0;
}

static void put(const void *bytes, size_t count) {
  const char *from = bytes;
  while (count > 0) {
    ssize_t done = syscall(SYS_write, log_fd, from, count);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) abort();
    from += done;
    count -= done;
  }
}

/* Takes the lock and writes down what comes. */
static void before(enum kind kind, uint64_t file, const char *path, const void *data, size_t count, uint64_t offset,
                   uint64_t size) {
  struct before head = {'B', kind, 0, path ? strlen(path) : 0, count, 0, file, offset, size};
  put(&head, sizeof head);
  if (path) put(path, head.path);
  if (count) put(data, count);
}

static void after(enum kind kind, int64_t result, uint64_t file, int created) {
  int error = errno;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  struct after tail = {'A', kind, 0, created, result, now.tv_sec * 1000000000ull + now.tv_nsec, file};
  put(&tail, sizeof tail);
  errno = error;
}

static void unknown(const char *what) {
  before(UNKNOWN, 0, what, 0, 0, 0, 0);
  after(UNKNOWN, 0, 0, 0);
}

#define REAL(name) \
  static __typeof__(&name) real; \
  if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* MARK: Names and descriptors */

/* The absolute path in `out`, if it is the root or under it. */
static const char *inside(int folder, const char *path, char out[PATH_MAX]) {
  if (log_fd < 0 || !path) return 0;
  char base[PATH_MAX] = "";
  if (path[0] != '/') {
    if (folder == AT_FDCWD) {
      if (!getcwd(base, sizeof base)) return 0;
    } else {
      char link[64];
      snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
      ssize_t length = readlink(link, base, sizeof base - 1);
      if (length < 0) return 0;
      base[length] = 0;
    }
  }
  int length = snprintf(out, PATH_MAX, "%s%s%s", base, base[0] ? "/" : "", path);
  if (length < 0 || length >= PATH_MAX) return 0;
  while (length > 1 && out[length - 1] == '/') out[--length] = 0;
  if (strncmp(out, root, root_length) || (out[root_length] != '/' && out[root_length])) return 0;
  if (length > 4 && !strcmp(out + length - 4, "-shm")) return 0;
  return out;
}

static char kind_of(int fd) { return log_fd >= 0 && fd >= 0 && fd < DESCRIPTORS ? tracked[fd] : NO; }

static uint64_t file_of(int fd) {
  struct stat about;
  int error = errno;
  uint64_t number = fstat(fd, &about) ? 0 : about.st_ino;
  errno = error;
  return number;
}

static int opened(int folder, const char *path, int flags, mode_t mode, int (*real)(int, const char *, int, mode_t)) {
  char whole[PATH_MAX];
  const char *name = inside(folder, path, whole);
  if (!name) {
    int fd = real(folder, path, flags, mode);
    if (fd >= 0 && fd < DESCRIPTORS) tracked[fd] = NO;
    return fd;
  }
  pthread_mutex_lock(&lock);
  struct stat about;
  int created = (flags & O_CREAT) && lstat(name, &about) && errno == ENOENT;
  before(OPEN, 0, name, 0, 0, created, flags & O_TRUNC ? 1 : 0);
  int fd = real(folder, path, flags, mode);
  if (fd >= DESCRIPTORS || (flags & O_TMPFILE) == O_TMPFILE) unknown("open");
  size_t length = strlen(name);
  if (fd >= 0) tracked[fd] = length > 4 && !strcmp(name + length - 4, "-wal") ? WAL : YES;
  after(OPEN, fd, fd >= 0 ? file_of(fd) : 0, created);
  pthread_mutex_unlock(&lock);
  return fd;
}

static int do_openat(int folder, const char *path, int flags, mode_t mode) {
  return syscall(SYS_openat, folder, path, flags, mode);
}

#define MODE(flags) \
  mode_t mode = 0; \
  if ((flags) & (O_CREAT | O_TMPFILE)) { \
    va_list rest; \
    va_start(rest, flags); \
    mode = va_arg(rest, mode_t); \
    va_end(rest); \
  }

int open(const char *path, int flags, ...) {
  MODE(flags)
  return opened(AT_FDCWD, path, flags, mode, do_openat);
}
int open64(const char *path, int flags, ...) {
  MODE(flags)
  return opened(AT_FDCWD, path, flags | O_LARGEFILE, mode, do_openat);
}
int openat(int folder, const char *path, int flags, ...) {
  MODE(flags)
  return opened(folder, path, flags, mode, do_openat);
}
int openat64(int folder, const char *path, int flags, ...) {
  MODE(flags)
  return opened(folder, path, flags | O_LARGEFILE, mode, do_openat);
}
int creat(const char *path, mode_t mode) {
  return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode, do_openat);
}
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

/* Inside the C library these open files by themselves. */
static int temporary(char *template, int suffix, int flags) {
  char *end = template + strlen(template) - suffix;
  for (int attempt = 0; attempt < 1000; attempt++) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    unsigned long long draw = now.tv_nsec * 2654435761ull ^ now.tv_sec ^ (unsigned long long)getpid() << 20;
    for (int at = 1; at <= 6; at++, draw /= 36) end[-at] = "abcdefghijklmnopqrstuvwxyz0123456789"[draw % 36];
    int fd = opened(AT_FDCWD, template, flags | O_RDWR | O_CREAT | O_EXCL, 0600, do_openat);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}
int mkstemp(char *template) { return temporary(template, 0, 0); }
int mkstemp64(char *template) { return temporary(template, 0, 0); }
int mkostemp(char *template, int flags) { return temporary(template, 0, flags); }
int mkostemp64(char *template, int flags) { return temporary(template, 0, flags); }
int mkstemps(char *template, int suffix) { return temporary(template, suffix, 0); }
int mkostemps(char *template, int suffix, int flags) { return temporary(template, suffix, flags); }

int close(int fd) {
  REAL(close);
  if (fd >= 0 && fd == log_fd) {
    errno = EBADF;
    return -1;
  }
  if (fd >= 0 && fd < DESCRIPTORS) tracked[fd] = NO;
  return real(fd);
}

static int copied(int from, int to) {
  if (to >= 0 && to < DESCRIPTORS) tracked[to] = kind_of(from);
  return to;
}
int dup(int fd) {
  REAL(dup);
  return copied(fd, real(fd));
}
int dup2(int fd, int to) {
  REAL(dup2);
  return copied(fd, real(fd, to));
}
int dup3(int fd, int to, int flags) {
  REAL(dup3);
  return copied(fd, real(fd, to, flags));
}
static int control(int fd, int command, void *argument) {
  int result = syscall(SYS_fcntl, fd, command, argument);
  return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? copied(fd, result) : result;
}
int fcntl(int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  void *argument = va_arg(rest, void *);
  va_end(rest);
  return control(fd, command, argument);
}
int fcntl64(int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  void *argument = va_arg(rest, void *);
  va_end(rest);
  return control(fd, command, argument);
}

/* MARK: Contents */

/* At `offset`, or where the descriptor stands if it is negative. */
static ssize_t written(int fd, const void *bytes, size_t count, off_t offset) {
  pthread_mutex_lock(&lock);
  off_t at = offset;
  if (at < 0) at = syscall(SYS_fcntl, fd, F_GETFL) & O_APPEND ? lseek(fd, 0, SEEK_END) : lseek(fd, 0, SEEK_CUR);
  uint64_t file = file_of(fd);
  before(WRITE, file, 0, bytes, count, at, count);
  ssize_t result = offset < 0 ? syscall(SYS_write, fd, bytes, count) : syscall(SYS_pwrite64, fd, bytes, count, offset);
  after(WRITE, result, file, 0);
  pthread_mutex_unlock(&lock);
  return result;
}

static ssize_t gathered(int fd, const struct iovec *parts, int count, off_t offset) {
  size_t size = 0;
  for (int index = 0; index < count; index++) size += parts[index].iov_len;
  char *all = malloc(size + 1);
  if (!all) abort();
  size_t at = 0;
  for (int index = 0; index < count; index++) {
    memcpy(all + at, parts[index].iov_base, parts[index].iov_len);
    at += parts[index].iov_len;
  }
  ssize_t result = written(fd, all, size, offset);
  free(all);
  return result;
}

ssize_t write(int fd, const void *bytes, size_t count) {
  return kind_of(fd) ? written(fd, bytes, count, -1) : syscall(SYS_write, fd, bytes, count);
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  return kind_of(fd) ? written(fd, bytes, count, offset) : syscall(SYS_pwrite64, fd, bytes, count, offset);
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) { return pwrite(fd, bytes, count, offset); }
ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(writev);
  return kind_of(fd) ? gathered(fd, parts, count, -1) : real(fd, parts, count);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  REAL(pwritev);
  return kind_of(fd) ? gathered(fd, parts, count, offset) : real(fd, parts, count, offset);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
  return pwritev(fd, parts, count, offset);
}

static int cut(int fd, off_t size) {
  pthread_mutex_lock(&lock);
  uint64_t file = file_of(fd);
  before(TRUNCATE, file, 0, 0, 0, 0, size);
  int result = syscall(SYS_ftruncate, fd, size);
  after(TRUNCATE, result, file, 0);
  pthread_mutex_unlock(&lock);
  return result;
}
int ftruncate(int fd, off_t size) { return kind_of(fd) ? cut(fd, size) : syscall(SYS_ftruncate, fd, size); }
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

/* Growing is all that a file can be seen to do by an allocation. */
static int grow(int fd, off_t size) {
  struct stat about;
  if (fstat(fd, &about)) return -1;
  return size > about.st_size ? cut(fd, size) : 0;
}
int posix_fallocate(int fd, off_t offset, off_t length) {
  REAL(posix_fallocate);
  if (!kind_of(fd)) return real(fd, offset, length);
  return grow(fd, offset + length) ? errno : 0;
}
int posix_fallocate64(int fd, off64_t offset, off64_t length) { return posix_fallocate(fd, offset, length); }

/* What is neither a write nor a change of size would be missed. */
#define REFUSE(fd, what) \
  if (kind_of(fd)) { \
    pthread_mutex_lock(&lock); \
    unknown(what); \
    pthread_mutex_unlock(&lock); \
  }
int fallocate(int fd, int mode, off_t offset, off_t length) {
  REFUSE(fd, "fallocate")
  return syscall(SYS_fallocate, fd, mode, offset, length);
}
int fallocate64(int fd, int mode, off64_t offset, off64_t length) { return fallocate(fd, mode, offset, length); }
ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
  REAL(pwritev2);
  REFUSE(fd, "pwritev2")
  return real(fd, parts, count, offset, flags);
}
ssize_t sendfile(int to, int from, off_t *offset, size_t count) {
  REFUSE(to, "sendfile")
  return syscall(SYS_sendfile, to, from, offset, count);
}
ssize_t sendfile64(int to, int from, off64_t *offset, size_t count) { return sendfile(to, from, offset, count); }
ssize_t copy_file_range(int from, off64_t *in, int to, off64_t *out, size_t count, unsigned flags) {
  REFUSE(to, "copy_file_range")
  return syscall(SYS_copy_file_range, from, in, to, out, count, flags);
}
void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
  if (fd >= 0 && (flags & MAP_SHARED) && (protection & PROT_WRITE)) { REFUSE(fd, "mmap") }
  return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}
void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset) {
  return mmap(address, length, protection, flags, fd, offset);
}

static int synced(int fd, int call) {
  pthread_mutex_lock(&lock);
  uint64_t file = file_of(fd);
  before(SYNC, file, 0, 0, 0, 0, 0);
  if (tracked[fd] == WAL && ++wal_syncs == kill_at) raise(SIGKILL);
  int result = syscall(call, fd);
  after(SYNC, result, file, 0);
  pthread_mutex_unlock(&lock);
  return result;
}
int fsync(int fd) { return kind_of(fd) ? synced(fd, SYS_fsync) : syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return kind_of(fd) ? synced(fd, SYS_fdatasync) : syscall(SYS_fdatasync, fd); }
int syncfs(int fd) {
  if (!kind_of(fd)) return syscall(SYS_syncfs, fd);
  pthread_mutex_lock(&lock);
  before(SYNC_ALL, 0, 0, 0, 0, 0, 0);
  int result = syscall(SYS_syncfs, fd);
  after(SYNC_ALL, result, 0, 0);
  pthread_mutex_unlock(&lock);
  return result;
}

/* MARK: Names of files */

/* An operation on one name; with `to`, the new name comes as the data. */
static int named(enum kind kind, const char *name, const char *to, int number, long a, long b, long c, long d, long e) {
  pthread_mutex_lock(&lock);
  struct stat about;
  uint64_t file = name && !lstat(name, &about) ? about.st_ino : 0;
  before(kind, file, name, to, to ? strlen(to) : 0, 0, 0);
  int result = syscall(number, a, b, c, d, e);
  if (kind == MKDIR && !result && !lstat(name, &about)) file = about.st_ino;
  after(kind, result, file, kind == MKDIR);
  pthread_mutex_unlock(&lock);
  return result;
}

int renameat2(int from, const char *old, int to, const char *new, unsigned flags) {
  char a[PATH_MAX], b[PATH_MAX];
  const char *first = inside(from, old, a), *second = inside(to, new, b);
  /* In or out of the root, or both names exchanged: not written down. */
  enum kind kind = (!first != !second) || ((first || second) && flags) ? UNKNOWN : RENAME;
  if (!first && !second) return syscall(SYS_renameat2, from, old, to, new, flags);
  return named(kind, first ? first : "rename", second, SYS_renameat2, from, (long)old, to, (long)new, flags);
}
int renameat(int from, const char *old, int to, const char *new) { return renameat2(from, old, to, new, 0); }
int rename(const char *old, const char *new) { return renameat2(AT_FDCWD, old, AT_FDCWD, new, 0); }

int unlinkat(int folder, const char *path, int flags) {
  char whole[PATH_MAX];
  const char *name = inside(folder, path, whole);
  if (!name) return syscall(SYS_unlinkat, folder, path, flags);
  return named(flags & AT_REMOVEDIR ? RMDIR : UNLINK, name, 0, SYS_unlinkat, folder, (long)path, flags, 0, 0);
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
  int result = unlinkat(AT_FDCWD, path, 0);
  return result && errno == EISDIR ? unlinkat(AT_FDCWD, path, AT_REMOVEDIR) : result;
}

int mkdirat(int folder, const char *path, mode_t mode) {
  char whole[PATH_MAX];
  const char *name = inside(folder, path, whole);
  if (!name) return syscall(SYS_mkdirat, folder, path, mode);
  return named(MKDIR, name, 0, SYS_mkdirat, folder, (long)path, mode, 0, 0);
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int linkat(int from, const char *old, int to, const char *new, int flags) {
  char whole[PATH_MAX];
  if (!inside(to, new, whole)) return syscall(SYS_linkat, from, old, to, new, flags);
  return named(UNKNOWN, "link", 0, SYS_linkat, from, (long)old, to, (long)new, flags);
}
int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }
int symlinkat(const char *target, int folder, const char *path) {
  char whole[PATH_MAX];
  if (!inside(folder, path, whole)) return syscall(SYS_symlinkat, target, folder, path);
  return named(UNKNOWN, "symlink", 0, SYS_symlinkat, (long)target, folder, (long)path, 0, 0);
}
int symlink(const char *target, const char *path) { return symlinkat(target, AT_FDCWD, path); }
