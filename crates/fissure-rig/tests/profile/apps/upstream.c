// A client asks and waits on the line marked ASKS; the other end thinks on the line marked THINKS, and waits for it on LISTENS.
#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

__attribute__((noinline)) void ask(int peer) {
    char answer;
    if (send(peer, "?", 1, 0) != 1) exit(1);
    if (recv(peer, &answer, 1, 0) != 1) exit(1); // ASKS
}

static void *answer(void *listener) {
    int client = accept(*(int *)listener, 0, 0);
    char question;
    while (recv(client, &question, 1, 0) == 1) { // LISTENS
        usleep(20000); // THINKS
        send(client, "!", 1, 0);
    }
    return 0;
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), peer = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 1)) return 1;
    getsockname(listener, (struct sockaddr *)&address, &length);
    pthread_t thread;
    pthread_create(&thread, 0, answer, &listener);
    if (connect(peer, (struct sockaddr *)&address, length)) return 1;
    for (;;) ask(peer);
}
