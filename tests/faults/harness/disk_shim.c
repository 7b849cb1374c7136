/* Preloaded into the processes under test: lets what they write to disk fail, or records every write, flush and
 * deletion in order. The process switches it through ctypes; unless it does, everything passes through unchanged. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { ON_FLUSH = 1, ON_WRITE = 2 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards everything below */
static char scope[512];                                  /* only files whose path begins with this */
static int failing, failure, failures_left, failures_done;
static int recording = -1;

static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_fsync)(int), (*real_fdatasync)(int), (*real_ftruncate)(int, off_t), (*real_unlink)(const char *);

__attribute__((constructor)) static void resolve(void) {
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_write = dlsym(RTLD_NEXT, "write");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
}

void shim_scope(const char *prefix) { snprintf(scope, sizeof scope, "%s", prefix); }

void shim_fail(int operations, int error, int count) {
    pthread_mutex_lock(&lock);
    failing = operations, failure = error, failures_left = count, failures_done = 0;
    pthread_mutex_unlock(&lock);
}

int shim_failures(void) { return failures_done; }

int shim_record(const char *path) {
    recording = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return recording;
}

static int in_scope(const char *path) {
    size_t length = strlen(path);
    if (!scope[0] || strncmp(path, scope, strlen(scope)) != 0) return 0;
    return length < 4 || strcmp(path + length - 4, "-shm") != 0; /* rebuilt by whoever opens the file next */
}

static int path_of(int file, char *path, size_t size) {
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    ssize_t length = readlink(name, path, size - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return in_scope(path);
}

static void note(char kind, const char *path, uint64_t offset, const void *data, uint32_t size) {
    struct __attribute__((packed)) { char kind; uint16_t path_size; uint64_t offset; uint32_t size; } head = {
        kind, (uint16_t)strlen(path), offset, size};
    if (real_write(recording, &head, sizeof head) < 0 || real_write(recording, path, head.path_size) < 0 ||
        (data && real_write(recording, data, size) < 0))
        dprintf(2, "disk_shim: the recording is incomplete\n");
}

void shim_mark(uint64_t number) {
    pthread_mutex_lock(&lock);
    note('m', "", number, NULL, 0);
    pthread_mutex_unlock(&lock);
}

static int fails(int operation) {
    if (!(failing & operation) || failures_left == 0) return 0;
    if (failures_left > 0) failures_left--;
    failures_done++;
    errno = failure;
    return 1;
}

#define WRAPPED(operation, kind, file, offset, data, size, call)            \
    char path[1024];                                                        \
    if (!(failing || recording >= 0) || !path_of(file, path, sizeof path))  \
        return call;                                                        \
    pthread_mutex_lock(&lock);                                              \
    if (fails(operation)) {                                                 \
        pthread_mutex_unlock(&lock);                                        \
        return -1;                                                          \
    }                                                                       \
    if (recording >= 0) note(kind, path, offset, data, size);               \
    pthread_mutex_unlock(&lock);                                            \
    return call;

ssize_t pwrite64(int file, const void *data, size_t size, off_t offset) {
    WRAPPED(ON_WRITE, 'w', file, offset, data, size, real_pwrite(file, data, size, offset))
}
ssize_t pwrite(int file, const void *data, size_t size, off_t offset) {
    WRAPPED(ON_WRITE, 'w', file, offset, data, size, real_pwrite(file, data, size, offset))
}
int ftruncate64(int file, off_t size) { WRAPPED(ON_WRITE, 't', file, size, NULL, 0, real_ftruncate(file, size)) }
int ftruncate(int file, off_t size) { WRAPPED(ON_WRITE, 't', file, size, NULL, 0, real_ftruncate(file, size)) }
int fsync(int file) { WRAPPED(ON_FLUSH, 's', file, 0, NULL, 0, real_fsync(file)) }
int fdatasync(int file) { WRAPPED(ON_FLUSH, 's', file, 0, NULL, 0, real_fdatasync(file)) }
int unlink(const char *path) {
    if (recording >= 0 && in_scope(path)) {
        pthread_mutex_lock(&lock);
        note('d', path, 0, NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    return real_unlink(path);
}
