/* Counts visits of people; machines do not count. */
#include "http.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATTERNS = 4096, PAGES = 64, DAYS = 365 };

static char *patterns[PATTERNS];
static int pattern_count;
static pthread_mutex_t counts = PTHREAD_MUTEX_INITIALIZER;
static unsigned long visits[PAGES][DAYS];

static void read_patterns(const char *path) {
    char line[256];
    FILE *file = fopen(path, "r");
    if (!file) return;
    while (pattern_count < PATTERNS && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        patterns[pattern_count++] = strdup(line);
    }
    fclose(file);
}

/* `*` stands for any text. */
static int matches(const char *pattern, const char *text) {
    const char *star = NULL, *again = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            again = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++again;
        } else {
            return 0;
        }
    }
    while (*pattern == '*') pattern++;
    return *pattern == 0;
}

static int is_robot(const char *agent) {
    for (int n = 0; n < pattern_count; n++) {
        if (matches(patterns[n], agent)) return 1;
    }
    return 0;
}

static unsigned page_of(const char *text) {
    unsigned hash = 5381;
    for (; *text; text++) hash = hash * 33 + (unsigned char)*text;
    return hash % PAGES;
}

static void count(const char *page) {
    pthread_mutex_lock(&counts);
    visits[page_of(page)][DAYS - 1]++;
    pthread_mutex_unlock(&counts);
}

/* The trend of every page: for each day the mean of the days around it, and the day on which it was highest. */
static unsigned long trend(int around) {
    unsigned long best = 0;
    for (int page = 0; page < PAGES; page++) {
        for (int day = 0; day < DAYS; day++) {
            unsigned long sum = 0;
            for (int near = day - around; near <= day + around; near++) sum += near >= 0 && near < DAYS ? visits[page][near] + 1 : 0;
            if (sum > best) best = sum;
        }
    }
    return best;
}

static int handle(const struct request *request, char *answer, unsigned long room) {
    char agent[256];
    if (strcmp(request->path, "/health") == 0) {
        snprintf(answer, room, "{\"open\":true}");
        return 200;
    }
    if (strcmp(request->method, "GET") == 0 && strncmp(request->path, "/hit/", 5) == 0) {
        if (!field(request->query, "agent", agent, sizeof agent)) snprintf(agent, sizeof agent, "%s", request->agent);
        int robot = is_robot(agent);
        if (!robot) count(request->path + 5);
        snprintf(answer, room, "{\"counted\":%s}", robot ? "false" : "true");
        return 200;
    }
    if (strcmp(request->method, "GET") == 0 && strcmp(request->path, "/trend") == 0) {
        snprintf(answer, room, "{\"best\":%lu}", trend(90));
        return 200;
    }
    if (strcmp(request->method, "GET") == 0 && strcmp(request->path, "/pages") == 0) {
        snprintf(answer, room, "{\"pages\":%d,\"days\":%d}", PAGES, DAYS);
        return 200;
    }
    snprintf(answer, room, "{\"error\":\"there is no such page\"}");
    return 404;
}

int main(void) {
    read_patterns("robots.txt");
    return serve(handle);
}
