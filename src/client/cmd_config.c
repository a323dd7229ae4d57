/* cmd_config.c - restante config: faults, values, an example, a description.
 * Does not know: settings by name.
 */
#include "client/cli.h"

#include <stdio.h>
#include <stdlib.h>

int cmd_config_check(struct cli *cli)
{
    int code;

    if (cli->args.nwords) {
        free(cli->conf_path);
        cli->conf_path = mem_str(cli->args.words[0]);
        cli->conf_given = true;
    }
    code = cli_settings(cli, false);
    if (code == EX_OK && !cli->quiet)
        printf("%s: no faults\n", cli->conf_path);
    return code;
}

int cmd_config_show(struct cli *cli)
{
    struct buf out = BUF(CLI_OUTPUT_MAX);
    int code = EX_OK;

    if (args_get(&cli->args, "defaults"))
        cli->settings = settings_new();
    else
        code = cli_settings(cli, false);
    if (code != EX_OK)
        return code;
    return cli_print(&out, settings_show(cli->settings, args_get(&cli->args, "changed") != NULL, &out));
}

int cmd_config_example(struct cli *cli)
{
    struct buf out = BUF(CLI_OUTPUT_MAX);

    (void)cli;
    return cli_print(&out, settings_sample(&out));
}

int cmd_config_describe(struct cli *cli)
{
    struct buf out = BUF(CLI_OUTPUT_MAX);

    return cli_print(&out, settings_describe(args_get(&cli->args, "man") != NULL, &out));
}
