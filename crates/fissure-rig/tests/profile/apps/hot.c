// Three quarters of the CPU on the line marked HOT, by the program's own clock; the rest on the line marked COOL.
#include <stdint.h>
#include <stdio.h>
#include <time.h>

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static inline uint64_t step(uint64_t x) {
    return (x * 6364136223846793005u + 1442695040888963407u) ^ (x >> 29); // HOT
}

// Never the same twice: turns of one length would keep time with the samples.
static int length(uint64_t x) {
    return 100000 + (int)((x >> 33) % 200000);
}

__attribute__((noinline)) uint64_t hot(uint64_t x) {
    for (int i = 0, n = length(x); i < n; i++)
        x = step(x);
    return x;
}

__attribute__((noinline)) uint64_t cool(uint64_t x) {
    for (int i = 0, n = length(x); i < n; i++)
        x = x * 2862933555777941757u ^ (x >> 31); // COOL
    return x;
}

__attribute__((noinline)) uint64_t handle(uint64_t x, double *hot_s, double *cool_s) {
    double began = cpu_s();
    if (*hot_s <= 3 * *cool_s) {
        x = hot(x);
        *hot_s += cpu_s() - began;
    } else {
        x = cool(x);
        *cool_s += cpu_s() - began;
    }
    return x + 1;
}

int main(void) {
    double hot_s = 0, cool_s = 0;
    uint64_t x = 1;
    for (;;) x = handle(x, &hot_s, &cool_s);
}
