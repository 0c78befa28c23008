// Says whose a request is, in C: sets a field of requests and responses, and answers those that have a field
// that nobody may send. See docs/plugins.md, "Other languages".
//
//     portcullis.dev/filter.c-headers: "{team: cheese, deny: x-internal}"

#include "c_headers.h"

#include <stdlib.h>
#include <string.h>

// What is given to the gateway is freed by the bindings when it has been read: it must be on the heap, hence
// `string_dup` and never `string_set` for results.
typedef c_headers_string_t string;
typedef portcullis_filter_types_bytes_t bytes;

// The configurations that an instance holds, by id: one for each filter of the namespace that uses it.
struct config {
    struct config *next;
    uint32_t id;
    char *team;
    char *deny;
};

static struct config *configs;

static const char schema[] =
    "{\"type\": \"object\", \"required\": [\"team\"], \"additionalProperties\": false, \"properties\": {"
    "\"team\": {\"type\": \"string\", \"pattern\": \"^[a-z0-9-]+$\", \"description\": \"Whose requests these are.\"},"
    "\"deny\": {\"type\": \"string\", \"pattern\": \"^[a-z0-9-]+$\", \"description\": \"Requests with this field get 403.\"}"
    "}}";

void exports_portcullis_filter_plugin_describe(exports_portcullis_filter_plugin_info_t *ret) {
    c_headers_string_dup(&ret->name, "c-headers");
    c_headers_string_dup(&ret->version, "0.1.0");
    c_headers_string_dup(&ret->config_schema, schema);
}

// The text under a key. The gateway gives compact JSON that fulfils the schema: there is nothing escaped in it.
// Yours may need a JSON library.
static char *text(const string *json, const char *key) {
    size_t length = strlen(key);
    for (size_t at = 0; at + length <= json->len; at++) {
        if (memcmp(json->ptr + at, key, length) == 0) {
            const char *start = (const char *)json->ptr + at + length;
            const char *end = memchr(start, '"', json->len - at - length);
            return end ? strndup(start, end - start) : NULL;
        }
    }
    return NULL;
}

bool exports_portcullis_filter_plugin_configure(uint32_t id, string *json,
                                                exports_portcullis_filter_plugin_config_error_t *err) {
    struct config *config = malloc(sizeof *config);
    *config = (struct config){configs, id, text(json, "\"team\":\""), text(json, "\"deny\":\"")};
    c_headers_string_free(json);
    configs = config;
    // What a schema cannot say is said here.
    if (config->deny && strcmp(config->deny, "host") == 0) {
        exports_portcullis_filter_plugin_release(id);
        c_headers_string_dup(&err->pointer, "/deny");
        c_headers_string_dup(&err->message, "every request has a host; write another field");
        return false;
    }
    return true;
}

void exports_portcullis_filter_plugin_release(uint32_t id) {
    for (struct config **at = &configs; *at; at = &(*at)->next) {
        struct config *config = *at;
        if (config->id == id) {
            *at = config->next;
            free(config->team);
            free(config->deny);
            free(config);
            return;
        }
    }
}

static const struct config *find(uint32_t id) {
    const struct config *config = configs;
    while (config && config->id != id) {
        config = config->next;
    }
    // The gateway configures an id before it names it. What fails, fails closed: it is no request's fault.
    if (!config || !config->team) {
        abort();
    }
    return config;
}

static string name(const char *text) {
    string name;
    c_headers_string_set(&name, text);
    return name;
}

static bytes value(const char *text) {
    return (bytes){(uint8_t *)text, strlen(text)};
}

static void say(const char *line) {
    string message = name(line);
    portcullis_filter_log_write(PORTCULLIS_FILTER_LOG_LEVEL_INFO, &message);
}

// A whole answer, on the heap.
static void refuse(portcullis_filter_types_local_response_t *answer, const char *body) {
    string text;
    c_headers_string_dup(&text, body);
    portcullis_filter_types_header_t *type = malloc(sizeof *type);
    c_headers_string_dup(&type->name, "content-type");
    c_headers_string_dup((string *)&type->value, "text/plain");
    *answer = (portcullis_filter_types_local_response_t){403, {type, 1}, {text.ptr, text.len}};
}

void exports_portcullis_filter_request_hook_on_request(
    uint32_t id, portcullis_filter_types_borrow_request_t request,
    portcullis_filter_types_request_verdict_t *verdict) {
    const struct config *config = find(id);
    verdict->tag = PORTCULLIS_FILTER_TYPES_REQUEST_VERDICT_NEXT;
    bytes denied;
    string deny = name(config->deny ? config->deny : "");
    if (config->deny && portcullis_filter_types_method_request_header(request, &deny, &denied)) {
        portcullis_filter_types_bytes_free(&denied);
        say("refused");
        verdict->tag = PORTCULLIS_FILTER_TYPES_REQUEST_VERDICT_RESPOND;
        refuse(&verdict->val.respond, "nobody may send that\n");
    } else {
        string team = name("x-team");
        bytes whose = value(config->team);
        portcullis_filter_types_header_error_t error;
        if (!portcullis_filter_types_method_request_set_header(request, &team, &whose, &error)) {
            abort();
        }
    }
    // What is lent is given back at the end of the call: a filter that forgets it is stopped.
    portcullis_filter_types_request_drop_borrow(request);
}

void exports_portcullis_filter_response_hook_on_response(
    uint32_t id, portcullis_filter_types_borrow_request_t request,
    portcullis_filter_types_borrow_response_t response,
    portcullis_filter_types_response_verdict_t *verdict) {
    const struct config *config = find(id);
    string powered = name("x-powered-by"), team = name("x-team");
    bytes whose = value(config->team);
    portcullis_filter_types_header_error_t error;
    if (!portcullis_filter_types_method_response_remove_header(response, &powered, &error) ||
        !portcullis_filter_types_method_response_add_header(response, &team, &whose, &error)) {
        abort();
    }
    verdict->tag = PORTCULLIS_FILTER_TYPES_RESPONSE_VERDICT_NEXT;
    portcullis_filter_types_request_drop_borrow(request);
    portcullis_filter_types_response_drop_borrow(response);
}
