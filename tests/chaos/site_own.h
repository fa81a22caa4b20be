/*
 * site_own.h: what a run makes for itself and leaves nothing of: a folder, free ports, disks, and a
 * keeper: a process beside this one that takes all of it away, however this one ends.
 */
#ifndef CHAOS_SITE_OWN_H
#define CHAOS_SITE_OWN_H

#include <stdbool.h>

/*
 * A fresh folder below /tmp; SAGA_STATE_DIR is a folder in it (not made yet), SAGA_PORT_SHIFT one
 * with which all ports of a stack are free. What a keeper is to take away itself is done by
 * take_away, in its process and with the environment of now. NULL: it has said why.
 */
const char *site_own_begin(void (*take_away)(bool keep_logs));
/* Returns when all of it is gone. */
void site_own_end(bool keep_logs);

/* A file system FOLDER/NAME of so many MiB, in a file of the folder. False: it has said why. */
bool site_own_disk(const char *name, int mib);

#endif
