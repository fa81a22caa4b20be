/* command.h: runs a program and takes what it prints. */
#ifndef SUPPORT_COMMAND_H
#define SUPPORT_COMMAND_H

/*
 * argv ends with NULL; runs in `directory`. ret_output (may be NULL: it goes to standard error)
 * gets its standard output, to be freed. Returns the exit status, -1 if it could not run or was
 * killed. What it leaves running is not waited for, though it has that output too.
 */
int command_run(const char *directory, const char *const *argv, char **ret_output);

#endif
