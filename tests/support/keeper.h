/*
 * keeper.h: a process beside this one that takes away what this one has made, however it ends. One
 * at a time.
 */
#ifndef SUPPORT_KEEPER_H
#define SUPPORT_KEEPER_H

#include <stdbool.h>

/* From now on take_away is called once, in the keeper: at keeper_end, or when this process is gone,
 * with keep_logs false then. False: there is none. */
bool keeper_begin(void (*take_away)(bool keep_logs));
/* Returns when all is taken away; nothing to do if there is no keeper. */
void keeper_end(bool keep_logs);

#endif
