/* markup.c: text that goes into XML and HTML; see markup.h. */
#include "markup.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* How many bytes the character takes; 0: it is none, or one that XML does not have. */
static size_t character_len(const unsigned char *at)
{
    size_t len = at[0] < 0x80 ? 1 : at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;

    if (len == 1)
        return at[0] >= 0x20 || at[0] == '\n' || at[0] == '\t';
    if (at[0] < 0xc2 || at[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool surrogate = at[0] == 0xed && at[1] > 0x9f;
    bool beyond = at[0] == 0xf4 && at[1] > 0x8f;
    bool none = at[0] == 0xef && at[1] == 0xbf && at[2] >= 0xbe;
    return overlong || surrogate || beyond || none ? 0 : len;
}

void markup_escape(FILE *file, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    while (*at != '\0') {
        size_t len = character_len(at);
        if (len == 0)
            fputc('?', file);
        else if (*at == '&')
            fputs("&amp;", file);
        else if (*at == '<')
            fputs("&lt;", file);
        else if (*at == '>')
            fputs("&gt;", file);
        else if (*at == '"')
            fputs("&quot;", file);
        else
            fwrite(at, 1, len, file);
        at += len == 0 ? 1 : len;
    }
}

void markup_text(FILE *file, const char *format, ...)
{
    char text[4000];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    markup_escape(file, text);
}
