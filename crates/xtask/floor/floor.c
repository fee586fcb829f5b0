/* The floors of the benchmarks: what the kernel costs without us.
 *   floor fork [MB [huge]]  for every line PAUSE_US on stdin: fork, _exit, waitpid 50 times, with a pause of once to one
 *                         and a half times as long before each; prints the nanoseconds of each. MB of its memory are
 *                         touched before, in pages of 4 KiB or in huge ones.
 *   floor handoff         the same for 128 bytes to a process that was forked before and blocks in read, and 64 bytes
 *                         back from it
 *   floor loop            for every line MS: fork, _exit, waitpid for so long; prints how often
 *   floor lines N [BATCH] writes N lines of 100 bytes, BATCH of them (1) with each write(2)
 *   floor fan N READERS   writes N lines to each of so many sockets, 64 lines with each write(2), each read by a process
 *   floor pong PATH IN OUT  answers every IN bytes on a Unix socket with OUT bytes; prints a line when it listens
 *   floor idle N          forks N processes that block in read, then prints a line
 * All but lines and fan leave when their stdin ends.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 50

static long long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void rest(long micros) {
    if (micros <= 0) return;
    long long nanos = micros * 1000LL + random() % (micros * 500LL);
    struct timespec t = {nanos / 1000000000LL, nanos % 1000000000LL};
    nanosleep(&t, NULL);
}

static void all(int fd, size_t size, int writes) {
    static char buffer[1 << 16];
    while (size > 0) {
        ssize_t done = writes ? write(fd, buffer, size) : read(fd, buffer, size);
        if (done <= 0) _exit(1);
        size -= done;
    }
}

static void tell(const long long *took) {
    for (int i = 0; i < BLOCK; i++) printf("%lld%c", took[i], i == BLOCK - 1 ? '\n' : ' ');
    fflush(stdout);
}

static int forks(long megabytes, int huge) {
    char line[64];
    long long took[BLOCK];
    if (megabytes > 0) {
        /* A huge page begins at a multiple of its size. */
        size_t size = (size_t)megabytes << 20, page = 2 << 20;
        char *memory = mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) return 1;
        memory += page - (size_t)memory % page;
        if (madvise(memory, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) < 0) return 1;
        for (size_t at = 0; at < size; at += 4096) memory[at] = 1;
    }
    while (fgets(line, sizeof line, stdin)) {
        for (int i = 0; i < BLOCK; i++) {
            rest(atol(line));
            long long begin = now();
            pid_t child = fork();
            if (child == 0) _exit(0);
            if (child < 0 || waitpid(child, NULL, 0) != child) return 1;
            took[i] = now() - begin;
        }
        tell(took);
    }
    return 0;
}

static int handoff(void) {
    char line[64];
    long long took[BLOCK];
    while (fgets(line, sizeof line, stdin)) {
        int ours[BLOCK];
        for (int i = 0; i < BLOCK; i++) {
            int pair[2];
            if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) return 1;
            pid_t child = fork();
            if (child < 0) return 1;
            if (child == 0) {
                /* Whoever ends the parent ends the wait: nobody else holds its end. */
                for (int other = 0; other < i; other++) close(ours[other]);
                close(pair[0]);
                all(pair[1], 128, 0);
                all(pair[1], 64, 1);
                _exit(0);
            }
            close(pair[1]);
            ours[i] = pair[0];
        }
        for (int i = 0; i < BLOCK; i++) {
            rest(atol(line));
            long long begin = now();
            all(ours[i], 128, 1);
            all(ours[i], 64, 0);
            took[i] = now() - begin;
        }
        for (int i = 0; i < BLOCK; i++) {
            close(ours[i]);
            wait(NULL);
        }
        tell(took);
    }
    return 0;
}

static int loop(void) {
    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        long long count = 0, end = now() + atol(line) * 1000000LL;
        for (; now() < end; count++) {
            pid_t child = fork();
            if (child == 0) _exit(0);
            if (child < 0 || waitpid(child, NULL, 0) != child) return 1;
        }
        printf("%lld\n", count);
        fflush(stdout);
    }
    return 0;
}

/* Formatting every number would be most of the work. */
static void fill(char *buffer, long count) {
    static char line[101] = "000000000000 ";
    for (long i = 0; i < count; i++) {
        if (i == 0 && line[13] == 0) {
            memset(line + 13, 'x', 86);
            line[99] = '\n';
        }
        memcpy(buffer + i * 100, line, 100);
        for (int digit = 11; digit >= 0 && ++line[digit] > '9'; digit--) line[digit] = '0';
    }
}

static int lines(long count, long batch) {
    char *buffer = malloc(batch * 100 + 1);
    for (long i = 0; i < count; i += batch) {
        long here = count - i < batch ? count - i : batch;
        fill(buffer, here);
        if (write(1, buffer, here * 100) != here * 100) return 1;
    }
    return 0;
}

static int fan(long count, int readers) {
    char buffer[6400];
    int *ours = calloc(readers, sizeof *ours);
    for (int i = 0; i < readers; i++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) return 1;
        pid_t child = fork();
        if (child < 0) return 1;
        if (child == 0) {
            static char into[1 << 20];
            for (int other = 0; other < i; other++) close(ours[other]);
            close(pair[0]);
            while (read(pair[1], into, sizeof into) > 0) {}
            _exit(0);
        }
        close(pair[1]);
        ours[i] = pair[0];
    }
    for (long i = 0; i < count; i += 64) {
        fill(buffer, 64);
        for (int k = 0; k < readers; k++)
            if (write(ours[k], buffer, sizeof buffer) != sizeof buffer) return 1;
    }
    for (int k = 0; k < readers; k++) close(ours[k]);
    while (wait(NULL) > 0) {}
    return 0;
}

static int pong(const char *path, size_t in, size_t out) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 64) < 0) return 1;
    puts("ready");
    fflush(stdout);
    struct pollfd fds[256] = {{.fd = 0, .events = POLLIN}, {.fd = listener, .events = POLLIN}};
    int used = 2;
    while (poll(fds, used, -1) > 0) {
        if (fds[0].revents) return 0;
        for (int i = 2; i < used; i++) {
            static char request[1 << 16];
            if (!fds[i].revents) continue;
            ssize_t got = read(fds[i].fd, request, in);
            if (got <= 0) {
                close(fds[i].fd);
                fds[i] = fds[--used];
                break;
            }
            all(fds[i].fd, in - got, 0);
            all(fds[i].fd, out, 1);
        }
        if (fds[1].revents && used < 256) {
            fds[used] = (struct pollfd){.fd = accept(listener, NULL, NULL), .events = POLLIN};
            fds[used++].revents = 0;
        }
    }
    return 1;
}

static int idle(int count) {
    int gate[2];
    if (pipe(gate) < 0) return 1;
    for (int i = 0; i < count; i++) {
        pid_t child = fork();
        if (child < 0) return 1;
        if (child == 0) {
            char byte;
            close(gate[1]);
            while (read(gate[0], &byte, 1) > 0) {}
            _exit(0);
        }
    }
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF) {}
    close(gate[1]);
    while (wait(NULL) > 0) {}
    return 0;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "fork") == 0 && argc <= 4) return forks(argc > 2 ? atol(argv[2]) : 0, argc > 3);
    if (strcmp(what, "handoff") == 0 && argc == 2) return handoff();
    if (strcmp(what, "loop") == 0 && argc == 2) return loop();
    if (strcmp(what, "lines") == 0 && (argc == 3 || argc == 4)) return lines(atol(argv[2]), argc == 4 ? atol(argv[3]) : 1);
    if (strcmp(what, "fan") == 0 && argc == 4) return fan(atol(argv[2]), atoi(argv[3]));
    if (strcmp(what, "pong") == 0 && argc == 5) return pong(argv[2], atol(argv[3]), atol(argv[4]));
    if (strcmp(what, "idle") == 0 && argc == 3) return idle(atoi(argv[2]));
    fprintf(stderr, "usage: floor fork [MB [huge]] | handoff | loop | lines N [BATCH] | fan N READERS | pong PATH IN OUT | idle N\n");
    return 2;
}
