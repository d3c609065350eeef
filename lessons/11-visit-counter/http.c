#include "http.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INPUT = 16384, ANSWER = 16384 };

static handler handle_request;

int field(const char *form, const char *name, char *value, unsigned long room) {
    unsigned long length = strlen(name);
    for (const char *at = form; at && *at; at = strchr(at, '&') ? strchr(at, '&') + 1 : NULL) {
        if (strncmp(at, name, length) != 0 || at[length] != '=') continue;
        unsigned long n = 0;
        for (const char *from = at + length + 1; *from && *from != '&' && n + 1 < room; from++) value[n++] = *from == '+' ? ' ' : *from;
        value[n] = 0;
        return 1;
    }
    return 0;
}

static void header(const char *head, const char *name, char *value, unsigned long room) {
    value[0] = 0;
    unsigned long length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, length) != 0 || line[2 + length] != ':') continue;
        const char *from = line + 3 + length;
        while (*from == ' ') from++;
        unsigned long n = strcspn(from, "\r");
        if (n >= room) n = room - 1;
        memcpy(value, from, n);
        value[n] = 0;
        return;
    }
}

static int parse(char *input, struct request *request) {
    char target[1024] = "";
    if (sscanf(input, "%7s %1023s", request->method, target) != 2) return 0;
    char *question = strchr(target, '?');
    if (question) *question++ = 0;
    snprintf(request->path, sizeof request->path, "%s", target);
    snprintf(request->query, sizeof request->query, "%s", question ? question : "");
    header(input, "User-Agent", request->agent, sizeof request->agent);
    return 1;
}

static void *converse(void *argument) {
    int client = (int)(long)argument;
    char *input = malloc(INPUT), *answer = malloc(ANSWER), *output = malloc(ANSWER + 256);
    unsigned long have = 0;
    for (;;) {
        char *end;
        input[have] = 0;
        while (!(end = strstr(input, "\r\n\r\n"))) {
            long got = have + 1 < INPUT ? read(client, input + have, INPUT - 1 - have) : 0;
            if (got <= 0) goto over;
            have += got;
            input[have] = 0;
        }
        struct request request = {0};
        char length[32];
        *end = 0;
        if (!parse(input, &request)) goto over;
        header(input, "Content-Length", length, sizeof length);
        unsigned long body = strtoul(length, NULL, 10), head = end + 4 - input;
        if (body >= sizeof request.body || head + body >= INPUT) goto over;
        while (have < head + body) {
            long got = read(client, input + have, INPUT - 1 - have);
            if (got <= 0) goto over;
            have += got;
        }
        memcpy(request.body, input + head, body);
        request.body[body] = 0;
        have -= head + body;
        memmove(input, input + head + body, have);

        answer[0] = 0;
        int status = handle_request(&request, answer, ANSWER);
        int n = snprintf(output, ANSWER + 256, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %lu\r\n\r\n%s",
                         status, status < 400 ? "OK" : "Refused", strlen(answer), answer);
        for (int sent = 0; sent < n;) {
            long wrote = write(client, output + sent, n - sent);
            if (wrote <= 0) goto over;
            sent += wrote;
        }
    }
over:
    free(input);
    free(answer);
    free(output);
    close(client);
    return NULL;
}

int serve(handler handle) {
    handle_request = handle;
    signal(SIGPIPE, SIG_IGN);
    int yes = 1, door = socket(AF_INET, SOCK_STREAM, 0);
    const char *port = getenv("PORT");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port ? atoi(port) : 8000)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(door, (struct sockaddr *)&address, sizeof address) != 0 || listen(door, 1024) != 0) {
        perror("the port cannot be had");
        return 1;
    }
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 * 1024);
    pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    for (;;) {
        int client = accept(door, NULL, NULL);
        if (client < 0) continue;
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        pthread_t thread;
        if (pthread_create(&thread, &small, converse, (void *)(long)client) != 0) close(client);
    }
}
