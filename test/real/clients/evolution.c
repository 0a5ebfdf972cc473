// Asks Evolution's library what Evolution's account assistant would set up, without a window.
// Usage: evolution ADDRESS [collections]
//
// It runs the look-ups that Evolution 3.46 has (autoconfig and SRV among them), takes the best incoming and the best
// outgoing result in Evolution's own order, and prints each, after a line with a number sign and its kind, as the data
// source that Evolution would keep: a key file with the groups [Authentication] and [Security]. What each look-up had to
// say goes to standard error. With "collections" it prints instead the data source with all calendars and address books.
//
// The functions are declared here, because the headers would bring a whole desktop's worth of development packages.
#include <stdio.h>
#include <stdlib.h>

typedef struct { unsigned domain; int code; char *message; } GError;
typedef struct list { void *data; struct list *next; } GSList;

GSList *g_slist_sort(GSList *list, int (*compare)(const void *, const void *));

int camel_init(const char *directory, int nss);
void camel_provider_init(void);

void *e_source_registry_new_sync(void *cancellable, GError **error);
void e_source_camel_register_types(void);
void *e_source_new(void *object, void *context, GError **error);
void *e_source_get_extension(void *source, const char *name);
void e_source_backend_set_backend_name(void *extension, const char *name);
char *e_source_to_string(void *source, size_t *length);
void *e_module_load_file(const char *file);
void *e_named_parameters_new(void);
void e_named_parameters_set(void *parameters, const char *name, const char *value);

void *e_config_lookup_new(void *registry);
GSList *e_config_lookup_dup_registered_workers(void *lookup);
const char *e_config_lookup_worker_get_display_name(void *worker);
void e_config_lookup_worker_run(void *worker, void *lookup, const void *parameters, void **restart, void *cancellable,
                                GError **error);
GSList *e_config_lookup_dup_results(void *lookup, int kind, const char *protocol);
int e_config_lookup_result_compare(const void *a, const void *b);
const char *e_config_lookup_result_get_protocol(void *result);
int e_config_lookup_result_configure_source(void *result, void *lookup, void *source);

// EConfigLookupResultKind
enum { COLLECTION = 1, MAIL_RECEIVE = 2, MAIL_SEND = 3 };

static void run_workers(void *lookup, const char *address) {
  void *parameters = e_named_parameters_new();
  e_named_parameters_set(parameters, "email-address", address);
  for (GSList *l = e_config_lookup_dup_registered_workers(lookup); l; l = l->next) {
    void *restart = NULL;
    GError *error = NULL;
    e_config_lookup_worker_run(l->data, lookup, parameters, &restart, NULL, &error);
    fprintf(stderr, "%s: %s\n", e_config_lookup_worker_get_display_name(l->data), error ? error->message : "done");
  }
}

// print_best prints the source of the best result. The source must say beforehand which backend it is for, as those of
// the assistant's pages do: a result of autoconfig fills no other.
static int print_best(void *lookup, int kind, const char *extension) {
  GSList *results = g_slist_sort(e_config_lookup_dup_results(lookup, kind, NULL), e_config_lookup_result_compare);
  if (!results) {
    fprintf(stderr, "%s: nothing found\n", extension);
    return 1;
  }
  void *source = e_source_new(NULL, NULL, NULL);
  e_source_backend_set_backend_name(e_source_get_extension(source, extension),
                                    e_config_lookup_result_get_protocol(results->data));
  if (!e_config_lookup_result_configure_source(results->data, lookup, source)) {
    fprintf(stderr, "%s: the result could not be used\n", extension);
    return 1;
  }
  printf("# %s\n%s\n", extension, e_source_to_string(source, NULL));
  return 0;
}

// print_collections prints one source that all results for collections have filled, each its part.
static int print_collections(void *lookup) {
  void *source = e_source_new(NULL, NULL, NULL);
  e_source_backend_set_backend_name(e_source_get_extension(source, "Collection"), "webdav");
  for (GSList *l = e_config_lookup_dup_results(lookup, COLLECTION, NULL); l; l = l->next)
    if (!e_config_lookup_result_configure_source(l->data, lookup, source)) return 1;
  printf("%s\n", e_source_to_string(source, NULL));
  return 0;
}

int main(int count, char **arguments) {
  const char *home = getenv("HOME");
  if (count < 2 || !home) return 2;
  camel_init(home, 1);
  camel_provider_init();
  e_source_camel_register_types();
  GError *error = NULL;
  void *registry = e_source_registry_new_sync(NULL, &error);
  if (!registry) {
    fprintf(stderr, "registry of data sources: %s\n", error->message);
    return 2;
  }
  if (!e_module_load_file("/usr/lib/evolution/modules/module-config-lookup.so")) return 2;
  void *lookup = e_config_lookup_new(registry);
  run_workers(lookup, arguments[1]);
  if (count == 3) return print_collections(lookup);
  return print_best(lookup, MAIL_RECEIVE, "Mail Account") + print_best(lookup, MAIL_SEND, "Mail Transport");
}
