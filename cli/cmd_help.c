/* cmd_help.c - oubli help [COMMAND]. */
#include "cmd.h"

static int print_overview(void)
{
    struct table *t = table_new("ll");
    const struct command *command;

    printf("oubli - makes a trained image classifier forget examples\n\n"
           "usage: oubli COMMAND [options]\n\n");
    for (size_t i = 0; (command = command_at(i)); i++) {
        table_cell(t, "  %s", command->name);
        table_cell(t, "%s", command->about);
    }
    table_print(t, stdout);
    printf(
        "\n'oubli help COMMAND' explains one; 'oubli demo' shows the whole story.\n"
        "OB_ISA=baseline, avx2 or avx512 forces one instruction set. OB_CONV=general does without\n"
        "Winograd's algorithm, for comparison. OB_MEMORY=4G is how much memory may "
        "be\ntaken (off: never refuse). OB_CACHE=DIR or off is where decoded images are kept.\n");
    return OB_OK;
}

int cmd_help(struct cmd *c, int argc, const char **argv)
{
    const struct opt options[] = { { 0 } };
    const char *ask[] = { "", "--help", NULL };
    const struct command *command, *near = NULL;

    TRY(cmd_parse(c, options, argc, argv));
    if (!c->n_args)
        return print_overview();
    command = command_find(c->args[0]);
    if (command) {
        c->command = command;
        c->n_args = 0;
        return command->run(c, 2, ask);
    }
    for (size_t i = 0; (command = command_at(i)); i++)
        if (word_is_near(c->args[0], command->name) &&
            (!near ||
             word_distance(c->args[0], command->name) < word_distance(c->args[0], near->name)))
            near = command;
    if (near)
        return cmd_fail(c, OB_EINVAL, "there is no command '%s'; did you mean '%s'?", c->args[0],
                        near->name);
    return cmd_fail(c, OB_EINVAL, "there is no command '%s'; 'oubli help' lists them", c->args[0]);
}
