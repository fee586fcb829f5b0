/* The floors of the benchmarks: what the kernel costs without us.
 *   floor fork        for every line on stdin: fork, _exit, waitpid 50 times; prints the nanoseconds of each
 *   floor lines N     writes N lines of 100 bytes, one write(2) each
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int forks(void) {
    char line[64];
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    while (fgets(line, sizeof line, stdin)) {
        long long took[50];
        for (int i = 0; i < 50; i++) {
            long long begin = now();
            pid_t child = fork();
            if (child == 0) _exit(0);
            if (child < 0 || waitpid(child, NULL, 0) != child) return 1;
            took[i] = now() - begin;
        }
        for (int i = 0; i < 50; i++) printf("%lld%c", took[i], i == 49 ? '\n' : ' ');
        fflush(stdout);
    }
    return 0;
}

static int lines(long count) {
    char line[101];
    memset(line, 'x', sizeof line);
    line[99] = '\n';
    for (long i = 0; i < count; i++) {
        snprintf(line, 13, "%012ld", i);
        line[12] = ' ';
        if (write(1, line, 100) != 100) return 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "fork") == 0) return forks();
    if (argc == 3 && strcmp(argv[1], "lines") == 0) return lines(atol(argv[2]));
    fprintf(stderr, "usage: floor fork | floor lines N\n");
    return 2;
}
