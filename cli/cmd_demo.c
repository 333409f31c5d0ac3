/* cmd_demo.c - oubli demo: the whole story in a few minutes. */
#include "cmd.h"

int cmd_demo(struct cmd *c, int argc, const char **argv)
{
    const struct opt options[] = { { 0 } };

    TRY(cmd_parse(c, options, argc, argv));
    return cmd_fail(c, OB_ENOTSUP, "not in this build");
}
