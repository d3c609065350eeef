// Six threads want one lock; who has it sleeps on the line marked HOLDS, the others wait on the line marked WAITS.
#include <pthread.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((noinline)) void slow(void) {
    usleep(5000); // HOLDS
    __asm__ volatile("");
}

__attribute__((noinline)) void handle(void) {
    pthread_mutex_lock(&lock); // WAITS
    slow();
    pthread_mutex_unlock(&lock);
}

static void *serve(void *unused) {
    for (;;) handle();
    return unused;
}

int main(void) {
    pthread_t thread;
    for (int i = 0; i < 5; i++) pthread_create(&thread, 0, serve, 0);
    serve(0);
}
