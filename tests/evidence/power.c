/* Writes down what a process asks of the files in one folder, and in which order: see power.py.

   Loaded with LD_PRELOAD. POWER_FOLDER is the folder, POWER_LOG the file to write into. A record is
   the header below and then `length` bytes. What may reach the disk at once is noted before it is done; what is on the
   disk only afterwards, a sync, is noted when it has returned. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MOST_FILES 4096

struct header {
  int64_t at; /* nanoseconds since 1970 */
  int64_t offset;
  int32_t inode; /* a number of our own for each file that was made, 0 for the folder */
  int32_t length;
  char what; /* c made, w written, t cut, s synced, u unlinked */
  char pad[7];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *folder;
static int log_file = -1;
static int32_t inode_of[MOST_FILES]; /* by descriptor: number + 1; 0 is none of ours */
static struct { char name[256]; int32_t inode; } names[64];
static int names_known;
static int32_t inodes_known;

static ssize_t (*real_write)(int, const void *, size_t);

static void begin(void) {
  if (log_file >= 0 || getenv("POWER_LOG") == NULL) return;
  folder = getenv("POWER_FOLDER");
  real_write = dlsym(RTLD_NEXT, "write");
  int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
  log_file = real_open(getenv("POWER_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void note(char what, int32_t inode, int64_t offset, const void *bytes, int32_t length) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  struct header header = {now.tv_sec * 1000000000LL + now.tv_nsec, offset, inode, length, what, {0}};
  struct iovec parts[2] = {{&header, sizeof header}, {(void *)bytes, length}};
  if (writev(log_file, parts, length ? 2 : 1) < 0) abort();
}

/* The name within the folder; "" for the folder itself, NULL for any other path. */
static const char *inside(const char *path) {
  size_t length = folder ? strlen(folder) : 0;
  if (!length || strncmp(path, folder, length) != 0) return NULL;
  if (path[length] == 0) return "";
  return path[length] == '/' && strstr(path + length, "-shm") == NULL ? path + length + 1 : NULL;
}

static int32_t known(const char *name, int fresh) {
  for (int i = 0; i < names_known; i++)
    if (strcmp(names[i].name, name) == 0) {
      if (fresh) names[i].inode = ++inodes_known;
      return names[i].inode;
    }
  strncpy(names[names_known].name, name, 255);
  names[names_known].inode = ++inodes_known;
  return names[names_known++].inode;
}

static int opened(int fd, const char *path, int is_new) {
  const char *name = fd >= 0 && fd < MOST_FILES ? inside(path) : NULL;
  if (name == NULL) return fd;
  int32_t inode = *name ? known(name, is_new) : 0;
  inode_of[fd] = inode + 1;
  if (*name) note(is_new ? 'c' : 'o', inode, 0, name, strlen(name));
  return fd;
}

static int do_open(const char *symbol, const char *path, int flags, mode_t mode) {
  int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, symbol);
  begin();
  if (log_file < 0 || inside(path) == NULL) return real(path, flags, mode);
  pthread_mutex_lock(&lock);
  struct stat found;
  int is_new = (flags & O_CREAT) && stat(path, &found) != 0;
  int fd = opened(real(path, flags, mode), path, is_new);
  pthread_mutex_unlock(&lock);
  return fd;
}

int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return do_open("open", path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return do_open("open64", path, flags, mode);
}

int close(int fd) {
  int (*real)(int) = dlsym(RTLD_NEXT, "close");
  if (fd >= 0 && fd < MOST_FILES) inode_of[fd] = 0;
  return real(fd);
}

static int ours(int fd) { return log_file >= 0 && fd >= 0 && fd < MOST_FILES && inode_of[fd] > 0; }

#define LOCKED(fd, what, offset, bytes, length, call) \
  if (!ours(fd)) return call;                         \
  pthread_mutex_lock(&lock);                          \
  note(what, inode_of[fd] - 1, offset, bytes, length); \
  __typeof__(call) done = call;                       \
  pthread_mutex_unlock(&lock);                        \
  return done;

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
  ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite");
  LOCKED(fd, 'w', offset, bytes, length, real(fd, bytes, length, offset))
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) {
  ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite64");
  LOCKED(fd, 'w', offset, bytes, length, real(fd, bytes, length, offset))
}

ssize_t write(int fd, const void *bytes, size_t length) {
  if (real_write == NULL) real_write = dlsym(RTLD_NEXT, "write");
  LOCKED(fd, 'w', lseek(fd, 0, SEEK_CUR), bytes, length, real_write(fd, bytes, length))
}

int ftruncate(int fd, off_t length) {
  int (*real)(int, off_t) = dlsym(RTLD_NEXT, "ftruncate");
  LOCKED(fd, 't', length, "", 0, real(fd, length))
}

int ftruncate64(int fd, off_t length) {
  int (*real)(int, off_t) = dlsym(RTLD_NEXT, "ftruncate64");
  LOCKED(fd, 't', length, "", 0, real(fd, length))
}

static int do_sync(const char *symbol, int fd) {
  int (*real)(int) = dlsym(RTLD_NEXT, symbol);
  if (!ours(fd)) return real(fd);
  pthread_mutex_lock(&lock);
  int done = real(fd);
  if (done == 0) note('s', inode_of[fd] - 1, 0, "", 0);
  pthread_mutex_unlock(&lock);
  return done;
}

int fsync(int fd) { return do_sync("fsync", fd); }

int fdatasync(int fd) { return do_sync("fdatasync", fd); }

int unlink(const char *path) {
  int (*real)(const char *) = dlsym(RTLD_NEXT, "unlink");
  const char *name = log_file >= 0 ? inside(path) : NULL;
  if (name == NULL || *name == 0) return real(path);
  pthread_mutex_lock(&lock);
  note('u', known(name, 0), 0, name, strlen(name));
  int done = real(path);
  pthread_mutex_unlock(&lock);
  return done;
}
