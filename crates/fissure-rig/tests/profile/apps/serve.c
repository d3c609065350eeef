// Answers a byte with a byte on each connection, a thread each; every request costs some work, and takes a lock that is seldom held.
#include <arpa/inet.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile uint64_t sink;

__attribute__((noinline)) static uint64_t work(uint64_t x) {
    for (int i = 0; i < 100000; i++)
        x = (x * 6364136223846793005u + 1442695040888963407u) ^ (x >> 29);
    return x;
}

static void *serve(void *connection) {
    int fd = (int)(intptr_t)connection;
    uint64_t x = fd;
    char byte;
    while (read(fd, &byte, 1) == 1) {
        x = work(x);
        pthread_mutex_lock(&lock);
        sink += x;
        pthread_mutex_unlock(&lock);
        if (write(fd, &byte, 1) != 1) break;
    }
    close(fd);
    return NULL;
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    bind(listener, (struct sockaddr *)&address, size);
    listen(listener, 64);
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        pthread_t thread;
        int fd = accept(listener, NULL, NULL);
        pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd);
        pthread_detach(thread);
    }
}
