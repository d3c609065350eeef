/* A small HTTP/1.1 server: a thread for each connection. */
#ifndef HTTP_H
#define HTTP_H

struct request {
    char method[8];
    char path[512];
    char query[512];
    char body[4096];
    char agent[256];
};

/* Writes the answer (JSON) and gives the status. */
typedef int (*handler)(const struct request *request, char *answer, unsigned long room);

/* The value of `name` in a form or query; 0 when it is not there. */
int field(const char *form, const char *name, char *value, unsigned long room);

int serve(handler handle);

#endif
