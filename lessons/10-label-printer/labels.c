/* Labels for parcels: a preview for the screen, and the printer behind the counter. */
#include "http.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WIDTH = 720, HEIGHT = 660 };

/* The printer feeds one label after another, at its own pace. */
static const struct timespec FEED = {.tv_nsec = 12 * 1000 * 1000};
static pthread_mutex_t printer = PTHREAD_MUTEX_INITIALIZER;
static unsigned long printed;

static unsigned ink(unsigned seed, int x, int y) {
    unsigned mixed = (seed ^ (unsigned)(x / 6) * 2654435761u) + (unsigned)(y / 6) * 40503u;
    mixed ^= mixed >> 13;
    mixed *= 1274126177u;
    return (mixed >> 24) & 1 ? 255 : 0;
}

/* The label as the screen shows it: every dot is the mean of its neighbours, so that it looks soft. */
static unsigned long draw(const char *parcel) {
    unsigned seed = 17;
    for (const char *c = parcel; *c; c++) seed = seed * 31 + (unsigned char)*c;
    unsigned long darkness = 0;
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) {
            unsigned sum = 0;
            for (int dy = -1; dy <= 1; dy++) {
                for (int dx = -1; dx <= 1; dx++) sum += ink(seed, x + dx, y + dy);
            }
            darkness += sum / 9;
        }
    }
    return darkness / (WIDTH * HEIGHT);
}

static unsigned long print_label(void) {
    pthread_mutex_lock(&printer);
    nanosleep(&FEED, NULL);
    unsigned long number = ++printed;
    pthread_mutex_unlock(&printer);
    return number;
}

static int handle(const struct request *request, char *answer, unsigned long room) {
    char parcel[64];
    if (strcmp(request->path, "/health") == 0) {
        snprintf(answer, room, "{\"open\":true}");
        return 200;
    }
    if (strcmp(request->method, "GET") == 0 && strcmp(request->path, "/sizes") == 0) {
        snprintf(answer, room, "{\"sizes\":[\"A6\",\"A7\"],\"width\":%d,\"height\":%d}", WIDTH, HEIGHT);
        return 200;
    }
    if (strcmp(request->method, "GET") == 0 && strncmp(request->path, "/previews/", 10) == 0) {
        snprintf(answer, room, "{\"grey\":%lu}", draw(request->path + 10));
        return 200;
    }
    if (strcmp(request->method, "POST") == 0 && strcmp(request->path, "/labels") == 0) {
        if (!field(request->body, "parcel", parcel, sizeof parcel)) {
            snprintf(answer, room, "{\"error\":\"a label for which parcel?\"}");
            return 422;
        }
        snprintf(answer, room, "{\"label\":%lu}", print_label());
        return 200;
    }
    snprintf(answer, room, "{\"error\":\"there is no such page\"}");
    return 404;
}

int main(void) { return serve(handle); }
