/* tillload: many tills on one thread, each with one frame in flight, every answer time measured.
 *
 *   tillload PORT SECONDS SEED RECORDS GROUP...
 *
 * A GROUP is "key=value,…": kind (post, stock, line, jsocket, http), name, conns, batch (sales a frame), frames (a
 * connection, all made before the clock starts), start_ms (after all said hello), pace_us (0: the next frame follows
 * the answer), check (0: accept any answer), ends (1: the run is over when this group has been answered), shops and
 * skus (how many locations and SKUs the tills use). All frames go to 127.0.0.1:PORT. Each answer
 * is written to RECORDS as one struct record; a summary goes to standard output as JSON. A till told `busy`
 * sends again later, as tills do; its answer time runs from the first attempt.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { GROUPS_MAX = 8, SKUS = 5000, LOCATIONS = 20, LINES = 3, HEX_HEAD = 64 };
enum kind { POST, STOCK, LINE, JSOCKET, HTTP, KINDS };
static const char *const kind_names[KINDS] = {"post", "stock", "line", "jsocket", "http"};

struct group {
    enum kind kind;
    char name[32];
    long conns, batch, frames, start_ms, pace_us, check, ends, shops, skus;
    long answered, failed, busy;
    char first_failure[400];
};
struct frame { size_t at, size, parent_at; };
struct conn {
    struct group *group;
    int fd, said_hello, waiting;
    uint64_t sent_ns, due_ns, retry_ns;
    long next;
    struct frame *frames;
    char *arena, *in;
    size_t arena_size, arena_room, in_size, in_room;
    char terminal[64], location[16], parent[HEX_HEAD + 1];
};
struct record { uint32_t group, sales; uint64_t due_ns, sent_ns, answered_ns; };

static struct group groups[GROUPS_MAX];
static int group_count, epoll_fd;
static struct conn *conns;
static long conn_count;
static struct record *records;
static size_t record_count, record_room;
static uint64_t random_state, id_clock_ms;
static uint32_t crc_table[256];

static void die(const char *what) { perror(what); exit(2); }

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t next_random(void) { /* xorshift64* */
    random_state ^= random_state >> 12, random_state ^= random_state << 25, random_state ^= random_state >> 27;
    return random_state * 2685821657736338717u;
}

/* ------------------------------------------------------------------------------------------ frames */

static void grow(char **buffer, size_t *room, size_t needed) {
    if (needed <= *room) return;
    while (*room < needed) *room = *room ? *room * 2 : 4096;
    if (!(*buffer = realloc(*buffer, *room))) die("realloc");
}

#define PUT(c, ...)                                                                                     \
    do {                                                                                                \
        grow(&(c)->arena, &(c)->arena_room, (c)->arena_size + 512);                                     \
        (c)->arena_size += (size_t)snprintf((c)->arena + (c)->arena_size, 512, __VA_ARGS__);            \
    } while (0)

static void put_uuid7(struct conn *c, long serial) { /* like a till's: ordered by time, then random */
    uint64_t ms = id_clock_ms + (uint64_t)serial, a = next_random(), b = next_random();
    PUT(c, "%08x-%04x-7%03x-%04x-%012llx", (unsigned)(ms >> 16), (unsigned)(ms & 0xffff), (unsigned)(a & 0xfff),
        (unsigned)(0x8000 | (b >> 50)), (unsigned long long)(b & 0xffffffffffffu));
}

static void put_lines(struct conn *c) {
    unsigned skus = (unsigned)c->group->skus, first = (unsigned)(next_random() % skus);
    PUT(c, "\"lines\":[");
    for (unsigned n = 0; n < LINES; n++) {
        unsigned sku = (first + n * (1u + (unsigned)(next_random() % (skus / LINES)))) % skus;
        PUT(c, "%s{\"quantity\":%u,\"sku\":\"SKU-%05u\"}", n ? "," : "", 1 + (unsigned)(next_random() % 3), sku);
    }
    PUT(c, "]");
}

static void put_instant(struct conn *c, long serial) {
    struct timespec t;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &parts);
    PUT(c, "\"occurred_at\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ\"", parts.tm_year + 1900, parts.tm_mon + 1,
        parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, 100001 + serial % 800000);
}

static void put_posts(struct conn *c, struct frame *f, long number) {
    PUT(c, "{\"jsonrpc\":\"2.0\",\"id\":%ld,\"method\":\"post\",\"params\":{\"postings\":[", number + 1);
    for (long n = 0; n < c->group->batch; n++) {
        long seq = number * c->group->batch + n + 1;
        PUT(c, "%s{\"id\":\"", n ? "," : "");
        put_uuid7(c, seq);
        PUT(c, "\",\"seq\":%ld,\"body\":{\"type\":\"sale\",", seq);
        put_instant(c, seq);
        PUT(c, ",");
        put_lines(c);
        PUT(c, ",\"reference\":\"R-%08ld\"}}", seq);
    }
    PUT(c, "],\"parent\":\"");
    f->parent_at = c->arena_size;
    PUT(c, "%064d\"}}\n", 0);
}

static void put_sale(struct conn *c, long number) { /* one sale as a plain object, for the peers */
    PUT(c, "{\"id\":\"");
    put_uuid7(c, number);
    PUT(c, "\",\"terminal\":\"%s\",\"location\":\"%s\",", c->terminal, c->location);
    put_instant(c, number);
    PUT(c, ",");
    put_lines(c);
    PUT(c, ",\"reference\":\"R-%08ld\"}", number);
}

static uint32_t crc32_of(const char *data, size_t size) {
    uint32_t crc = ~0u;
    while (size--) crc = crc_table[(crc ^ (uint8_t)*data++) & 0xff] ^ crc >> 8;
    return ~crc;
}

static void put_framed_sale(struct conn *c, struct frame *f, long number) {
    char head[200];
    int head_size;
    put_sale(c, number);
    size_t size = c->arena_size - f->at;
    if (c->group->kind == HTTP)
        head_size = snprintf(head, sizeof head,
                             "POST /sales HTTP/1.1\r\nHost: hq\r\nContent-Type: application/json\r\n"
                             "Content-Length: %zu\r\n\r\n", size);
    else {
        uint32_t fields[2] = {htonl((uint32_t)size), htonl(crc32_of(c->arena + f->at, size))};
        memcpy(head, "JSN1", 4), memcpy(head + 4, fields, 8), head_size = 12;
    }
    grow(&c->arena, &c->arena_room, c->arena_size + (size_t)head_size);
    memmove(c->arena + f->at + head_size, c->arena + f->at, size);
    memcpy(c->arena + f->at, head, (size_t)head_size);
    c->arena_size += (size_t)head_size;
}

static void make_frame(struct conn *c, long number) {
    struct frame *f = &c->frames[number];
    f->at = c->arena_size;
    f->parent_at = 0;
    switch (c->group->kind) {
    case POST: put_posts(c, f, number); break;
    case LINE: put_sale(c, number); PUT(c, "\n"); break;
    case STOCK:
        PUT(c, "{\"jsonrpc\":\"2.0\",\"id\":%ld,\"method\":\"stock\",\"params\":{\"sku\":\"SKU-%05u\",\"location\":\"%s\"}}\n",
            number + 1, (unsigned)(next_random() % SKUS), c->location);
        break;
    default: put_framed_sale(c, f, number);
    }
    f->size = c->arena_size - f->at;
}

/* ------------------------------------------------------------------------------------------ connections */

static void send_all(struct conn *c, const char *data, size_t size) {
    while (size) {
        ssize_t sent = send(c->fd, data, size, MSG_NOSIGNAL);
        if (sent < 0) die("send");
        data += sent, size -= (size_t)sent;
    }
}

static void say_hello(struct conn *c) {
    char hello[512];
    uint64_t a = next_random(), b = next_random();
    int size = snprintf(hello, sizeof hello,
                        "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"hello\",\"params\":{\"terminal\":\"%s\",\"lineage\":"
                        "\"%08x-%04x-4%03x-8%03x-%012llx\",\"location\":\"%s\"}}\n",
                        c->terminal, (unsigned)a, (unsigned)(a >> 32) & 0xffff, (unsigned)(a >> 48) & 0xfff,
                        (unsigned)(b >> 48) & 0xfff, (unsigned long long)(b & 0xffffffffffffu), c->location);
    send_all(c, hello, (size_t)size);
    c->waiting = 1;
}

static void send_frame(struct conn *c, uint64_t due_ns) {
    struct frame *f = &c->frames[c->next++];
    if (f->parent_at && c->parent[0]) memcpy(c->arena + f->parent_at, c->parent, HEX_HEAD);
    if (!c->retry_ns) c->due_ns = due_ns;
    c->retry_ns = 0;
    c->sent_ns = now_ns();
    c->waiting = 1;
    send_all(c, c->arena + f->at, f->size);
}

static size_t answer_size(struct conn *c) { /* of the whole answer at the start of `in`; 0 while it is incomplete */
    if (c->group->kind == JSOCKET) {
        uint32_t size;
        if (c->in_size < 12) return 0;
        memcpy(&size, c->in + 4, 4);
        size = ntohl(size) + 12;
        return c->in_size >= size ? size : 0;
    }
    if (c->group->kind == HTTP) {
        c->in[c->in_size] = 0;
        char *end = strstr(c->in, "\r\n\r\n"), *length = strcasestr(c->in, "content-length:");
        if (!end || !length) return 0;
        size_t size = (size_t)(end + 4 - c->in) + (size_t)atol(length + 15);
        return c->in_size >= size ? size : 0;
    }
    return c->in[c->in_size - 1] == '\n' ? c->in_size : 0;
}

static long count(const char *text, size_t size, const char *what) {
    long found = 0;
    size_t length = strlen(what);
    const char *end = text + size;
    while ((text = memmem(text, (size_t)(end - text), what, length))) found++, text += length;
    return found;
}

static int is_good(struct conn *c, size_t size) {
    struct group *g = c->group;
    if (!g->check) return 1;
    if (g->kind == POST && c->said_hello) return count(c->in, size, "\"status\":\"posted\"") == g->batch;
    if (g->kind == HTTP) return !strncmp(c->in, "HTTP/1.1 20", 11);
    if (g->kind == STOCK && c->said_hello) return count(c->in, size, "\"on_hand\"") == 1;
    if (g->kind == JSOCKET) return count(c->in, size, "\"position\"") == 1;
    return count(c->in, size, "\"error\"") == 0;
}

static void note_parent(struct conn *c, size_t size) {
    char *parent = memmem(c->in, size, "\"parent\":\"", 10);
    if (parent) memcpy(c->parent, parent + 10, HEX_HEAD);
}

static int is_busy(struct conn *c, size_t size) {
    char *wait = c->group->kind == POST ? memmem(c->in, size, "\"retry_after_ms\":", 17) : NULL;
    if (!wait) return 0;
    c->retry_ns = now_ns() + strtoull(wait + 17, NULL, 10) * 1000000u;
    c->next--;
    c->group->busy++;
    return 1;
}

static void note_answer(struct conn *c, uint64_t at_ns, size_t size) {
    struct group *g = c->group;
    if (is_busy(c, size)) return;
    if (!is_good(c, size)) {
        if (!g->failed++) snprintf(g->first_failure, sizeof g->first_failure, "%.*s", (int)size, c->in);
        return;
    }
    g->answered++;
    if (record_count == record_room && !(records = realloc(records, (record_room *= 2) * sizeof *records))) die("realloc");
    long sales = g->kind == POST ? g->batch : 1;
    records[record_count++] = (struct record){(uint32_t)(g - groups), (uint32_t)sales, c->due_ns, c->sent_ns, at_ns};
}

static int receive(struct conn *c) { /* true when a whole answer is there; it is consumed */
    grow(&c->in, &c->in_room, c->in_size + 65536);
    ssize_t got = recv(c->fd, c->in + c->in_size, c->in_room - c->in_size - 1, 0);
    if (got <= 0) {
        if (!c->group->failed++) snprintf(c->group->first_failure, 400, "connection ended: %s", got ? strerror(errno) : "closed");
        epoll_ctl(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
        c->waiting = 0, c->next = c->group->frames;
        return 0;
    }
    c->in_size += (size_t)got;
    size_t size = answer_size(c);
    if (!size) return 0;
    if (c->group->kind == POST) note_parent(c, size);
    if (c->said_hello) note_answer(c, now_ns(), size);
    else if (!is_good(c, size)) fprintf(stderr, "hello: %.*s\n", (int)size, c->in), exit(2);
    c->in_size = 0;
    c->waiting = 0;
    return 1;
}

static void open_conn(struct conn *c, int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if ((c->fd = socket(AF_INET, SOCK_STREAM, 0)) < 0) die("socket");
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to)) die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event)) die("epoll_ctl");
}

/* ------------------------------------------------------------------------------------------ the run */

static void greet(void) {
    struct epoll_event events[256];
    long left = 0;
    for (long i = 0; i < conn_count; i++) {
        if (conns[i].group->kind == POST || conns[i].group->kind == STOCK) say_hello(&conns[i]), left++;
        else conns[i].said_hello = 1;
    }
    while (left) {
        int ready = epoll_wait(epoll_fd, events, 256, 60000);
        if (ready <= 0) die("no answer to hello");
        for (int i = 0; i < ready; i++) {
            struct conn *c = events[i].data.ptr;
            if (receive(c)) c->said_hello = 1, left--;
        }
    }
}

static uint64_t start_due(uint64_t now, uint64_t began) { /* send what is due; return when to check again */
    uint64_t next = now + 100000000u;
    for (long i = 0; i < conn_count; i++) {
        struct conn *c = &conns[i];
        struct group *g = c->group;
        if (c->waiting || c->next >= g->frames || (c->next && !g->pace_us && !c->retry_ns)) continue;
        uint64_t due = c->retry_ns ? c->retry_ns : began + (uint64_t)g->start_ms * 1000000u;
        if (g->pace_us && !c->retry_ns) { /* a phase per till, to avoid lockstep */
            uint64_t pace = (uint64_t)g->pace_us * 1000u;
            due += pace * (uint64_t)c->next + pace * (uint64_t)(i % 97) / 97u;
        }
        if (due <= now) send_frame(c, due);
        else if (due < next) next = due;
    }
    return next;
}

static int is_over(void) {
    for (int k = 0; k < group_count; k++)
        if (groups[k].ends && groups[k].answered + groups[k].failed >= groups[k].conns * groups[k].frames) return 1;
    return 0;
}

static long in_flight(void) {
    long waiting = 0;
    for (long i = 0; i < conn_count; i++) waiting += conns[i].waiting;
    return waiting;
}

static uint64_t run(uint64_t began, uint64_t until) { /* return when it stopped sending */
    struct epoll_event events[256];
    uint64_t now, look_at = began;
    while ((now = now_ns()) < until && !is_over()) {
        if (now >= look_at) look_at = start_due(now, began);
        uint64_t wait = (look_at < until ? look_at : until) - now;
        struct timespec timeout = {(time_t)(wait / 1000000000u), (long)(wait % 1000000000u)};
        int ready = epoll_pwait2(epoll_fd, events, 256, &timeout, NULL);
        for (int i = 0; i < ready; i++) {
            struct conn *c = events[i].data.ptr;
            if (!receive(c)) continue;
            if (c->group->pace_us || c->retry_ns) look_at = 0;
            else if (c->next < c->group->frames) send_frame(c, now_ns());
        }
    }
    for (int tries = 0; in_flight() && tries < 3000; tries++) { /* answers still on their way */
        int ready = epoll_wait(epoll_fd, events, 256, 10);
        for (int i = 0; i < ready; i++) receive(events[i].data.ptr);
    }
    return now;
}

static void read_group(char *text) {
    struct group *g = &groups[group_count++];
    *g = (struct group){.conns = 1, .batch = 1, .frames = 1, .check = 1, .shops = LOCATIONS, .skus = SKUS};
    for (char *part = strtok(text, ","); part; part = strtok(NULL, ",")) {
        char *value = strchr(part, '=');
        if (!value) die(part);
        *value++ = 0;
        struct { const char *name; long *to; } const numbers[] = {
            {"conns", &g->conns}, {"batch", &g->batch}, {"frames", &g->frames}, {"start_ms", &g->start_ms},
            {"pace_us", &g->pace_us}, {"check", &g->check}, {"ends", &g->ends}, {"shops", &g->shops},
            {"skus", &g->skus}};
        if (!strcmp(part, "name")) snprintf(g->name, sizeof g->name, "%s", value);
        for (int k = 0; k < KINDS; k++)
            if (!strcmp(part, "kind") && !strcmp(value, kind_names[k])) g->kind = (enum kind)k;
        for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++)
            if (!strcmp(part, numbers[n].name)) *numbers[n].to = atol(value);
    }
    conn_count += g->conns;
}

static void make_conns(int port, uint64_t seed) {
    conns = calloc((size_t)conn_count, sizeof *conns);
    struct conn *c = conns;
    for (int k = 0; k < group_count; k++)
        for (long n = 0; n < groups[k].conns; n++, c++) {
            c->group = &groups[k];
            snprintf(c->terminal, sizeof c->terminal, "%s-%llx-%ld", c->group->name, (unsigned long long)seed, n + 1);
            snprintf(c->location, sizeof c->location, "store-%02ld", 1 + n % c->group->shops);
            c->frames = calloc((size_t)c->group->frames + 1, sizeof *c->frames);
            for (long f = 0; f < c->group->frames; f++) make_frame(c, f);
            grow(&c->in, &c->in_room, 65536);
        }
    for (long i = 0; i < conn_count; i++) open_conn(&conns[i], port);
}

static void print_text(const char *text) {
    putchar('"');
    for (; *text; text++)
        if (*text == '"' || *text == '\\') printf("\\%c", *text);
        else putchar((unsigned char)*text < 32 ? ' ' : *text);
    putchar('"');
}

static uint64_t cpu_ns(void) {
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

static void report(uint64_t began, uint64_t ended, uint64_t cpu) {
    printf("{\"began_ns\":%llu,\"ended_ns\":%llu,\"cpu_s\":%.6f,\"groups\":[", (unsigned long long)began,
           (unsigned long long)ended, (double)cpu / 1e9);
    for (int k = 0; k < group_count; k++) {
        struct group *g = &groups[k];
        long exhausted = 0;
        for (long i = 0; i < conn_count; i++) exhausted += conns[i].group == g && conns[i].next >= g->frames;
        printf("%s{\"name\":\"%s\",\"answered\":%ld,\"failed\":%ld,\"busy\":%ld,\"exhausted\":%ld,\"first_failure\":", k ? "," : "",
               g->name, g->answered, g->failed, g->busy, exhausted);
        print_text(g->first_failure);
        putchar('}');
    }
    puts("]}");
}

int main(int argc, char **argv) {
    if (argc < 6) return fputs("usage: tillload PORT SECONDS SEED RECORDS GROUP...\n", stderr), 2;
    uint64_t seed = strtoull(argv[3], NULL, 10);
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    id_clock_ms = (uint64_t)wall.tv_sec * 1000u;
    random_state = seed * 0x9e3779b97f4a7c15u + 1;
    for (uint32_t n = 0; n < 256; n++) {
        crc_table[n] = n;
        for (int bit = 0; bit < 8; bit++) crc_table[n] = crc_table[n] & 1 ? 0xedb88320u ^ crc_table[n] >> 1 : crc_table[n] >> 1;
    }
    for (int i = 5; i < argc && group_count < GROUPS_MAX; i++) read_group(argv[i]);
    records = malloc((record_room = 1 << 16) * sizeof *records);
    if ((epoll_fd = epoll_create1(0)) < 0) die("epoll_create1");
    make_conns(atoi(argv[1]), seed);
    greet();
    uint64_t cpu_before = cpu_ns(), began = now_ns(), ended = run(began, began + (uint64_t)(atof(argv[2]) * 1e9));
    uint64_t cpu = cpu_ns() - cpu_before;
    FILE *out = fopen(argv[4], "wb");
    if (!out || fwrite(records, sizeof *records, record_count, out) != record_count || fclose(out)) die(argv[4]);
    report(began, ended, cpu);
    return 0;
}
