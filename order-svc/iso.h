/* iso.h: code lists, sorted by strcmp, NULL-terminated. */
#ifndef ORDER_ISO_H
#define ORDER_ISO_H

/* Active currencies of ISO 4217 (list one, 2026), without those that pay for nothing: XTS, XXX. */
extern const char *const iso_currencies[];
/* Officially assigned codes of ISO 3166-1 alpha-2. */
extern const char *const iso_countries[];

#endif
