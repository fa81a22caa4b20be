/* letters.h: dead letters, as a person makes and mends them: kcat, and a service's own command. */
#ifndef SUPPORT_LETTERS_H
#define SUPPORT_LETTERS_H

/* `SERVICE dead-letters COMMAND ID` (ID may be NULL): what it prints, to be freed. The test fails
 * if the command does. */
char *letters_command(const char *service, const char *command, const char *id);
/* Puts a record on a topic; headers are kcat's: "-H ce_id=1". */
void letters_produce(const char *topic, const char *key, const char *value, const char *headers);

#endif
