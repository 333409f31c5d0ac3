/* main.c - the program: finds the command, runs it, turns its status into an exit code. */
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"

/* The order is the order of `oubli help`: the way of a forget request, then what there is. */
static const struct command commands[] = {
    { "data", "SPEC", 1, 1, "says what a data set is",
      "  oubli data cifar10:DIR\n  oubli data idx:DIR,train=10000\n"
      "SPEC is KIND:WHERE and options after commas; train=N and test=N take the first N/C of each\n"
      "of the C classes.\n"
      "  idx:DIR         MNIST, Fashion-MNIST\n"
      "  cifar10:DIR     the binary version; cifar100:DIR too, with labels=fine or coarse\n"
      "  npy:DIR         x_train.npy, y_train.npy, x_test.npy, y_test.npy; or npy:FILE.npz\n"
      "  images:DIR      train/CLASS/*.png or *.jpg, and test/ or val/ likewise (test-from=val\n"
      "                  takes val where both are there); Tiny-ImageNet as it comes\n"
      "  synth:longtail  made in memory: train=, test=, classes=, size=, channels=, noise=, seed=\n"
      "Decoded images are kept in ~/.cache/oubli; OB_CACHE=DIR says where, OB_CACHE=off nowhere.\n",
      cmd_data },
    { "train", NULL, 0, 0, "trains a network, or retrains it without some examples",
      "  oubli train --data idx:DIR,train=6000 --arch cnn --epochs 15 --events e.npz -o "
      "m.safetensors\n"
      "  oubli train --data idx:DIR,train=6000 --arch cnn --epochs 15 --exclude ids.txt -o "
      "r.safetensors\n"
      "The paper's recipes: cifar10 with resnet18 (30 epochs, as everywhere), cifar100 with "
      "resnet50 (150,\n"
      "step:60,120,x0.2), tiny-imagenet with resnet18 (80) or vgg16 (100); the latter three with "
      "crop-flip.\n"
      "Normalisation: that of the data set where it is a known one, else 0.5/0.25.\n"
      "Under mpirun (a build with MPI=1) each batch is shared out among the ranks, a sub-batch for "
      "each\n"
      "unless --sub-batch is given; with the same --sub-batch any number of ranks, or none, gives "
      "the\n"
      "same bytes.\n",
      cmd_train },
    { "predict", NULL, 0, 0, "writes logits or embeddings of a model", NULL, cmd_predict },
    { "bank", "train | status DIR | merge DIR...", 1, 1000,
      "trains many models on random subsets: what memorization is measured with",
      "  oubli bank train --data idx:DIR,train=6000 --arch cnn --epochs 15 --models 128 -o bank\n"
      "  oubli bank status bank\n"
      "  oubli bank merge bank-a bank-b -o bank\n"
      "The same command goes on after an interruption, and with more models. --models 64-127 "
      "trains\n"
      "those: another machine's share, to be merged. Under mpirun (a build with MPI=1) the models "
      "are\n"
      "dealt out to the ranks, each of which trains --jobs of them side by side.\n",
      cmd_bank },
    { "score", "KIND | compare A.npy B.npy", 1, 3, "scores how memorized each example is",
      "  oubli score confidence --events e.npz -o s.npy\n"
      "  oubli score margin --data D --model m.safetensors -o s.npy\n"
      "  oubli score compare a.npy b.npy\n"
      "KIND from events: confidence, max-confidence, entropy, accuracy, cumulative-loss.\n"
      "KIND from a model: confidence, entropy, margin, centroid-distance, holdout, curvature.\n"
      "KIND from a bank: memorization, consistency, influence (of training examples on test\n"
      "examples, an .npz). Higher means more memorized.\n"
      "  oubli score memorization --bank bank -o s.npy\n",
      cmd_score },
    { "entangle", NULL, 0, 0, "says how much a forget set overlaps with what is retained",
      "  oubli entangle --data D --model m.safetensors --forget ids.txt\n"
      "  oubli entangle --data D --model m.safetensors --plan plan.json\n",
      cmd_entangle },
    { "select", NULL, 0, 0, "picks a forget set",
      "  oubli select --data D --model m.safetensors --scores s.npy --level mix --size 600 -o "
      "ids.txt\n",
      cmd_select },
    { "forget", NULL, 0, 0, "makes a model forget a set with one method",
      "  oubli forget --data D --model m.safetensors --forget ids.txt --method salun --set "
      "share=0.3 "
      "-o u.safetensors\n",
      cmd_forget },
    { "refine", NULL, 0, 0, "divides a forget set by score: the plan, to read and to edit",
      "  oubli refine --data D --model m.safetensors --forget ids.txt --scores s.npy "
      "--methods none,finetune,salun -o plan.json\n",
      cmd_refine },
    { "rum", NULL, 0, 0, "refines, then makes the model forget part after part",
      "  oubli rum --data D --model m.safetensors --forget ids.txt --scores s.npy -o "
      "u.safetensors\n"
      "  oubli rum --data D --model m.safetensors --plan plan.json -o u.safetensors\n",
      cmd_rum },
    { "evaluate", NULL, 0, 0, "judges a model, best against a retrained one",
      "  oubli evaluate --data D --model u.safetensors --forget ids.txt --against r.safetensors\n",
      cmd_evaluate },
    { "convert", "IN OUT", 2, 2, "brings a model in from PyTorch, or out to PyTorch and ONNX",
      "  oubli convert resnet18.pt m.safetensors --normalize cifar10\n"
      "  oubli convert u.safetensors u.pt --no-normalize\n"
      "  oubli convert u.safetensors u.onnx\n"
      "IN is a safetensors file or what torch.save() wrote (1.6 or later): a state dict, or a "
      "dict\n"
      "with one under state_dict, model, net; nothing in it is executed. The ending of OUT says\n"
      "what is written: .safetensors, .pt, .pth, .onnx.\n",
      cmd_convert },
    { "methods", "[NAME]", 0, 1, "lists the unlearning methods, or explains one", NULL,
      cmd_methods },
    { "archs", NULL, 0, 0, "lists the networks", NULL, cmd_archs },
    { "demo", NULL, 0, 0, "tells the whole story in a few minutes, on one HTML page",
      "  oubli demo\n"
      "  oubli demo --seeds 1 --data cifar10:DIR,train=5000,test=2000 --arch cnn -o cifar\n",
      cmd_demo },
    { "help", "[COMMAND]", 0, 1, "explains a command", NULL, cmd_help },
};

const struct command *command_at(size_t i)
{
    return i < sizeof(commands) / sizeof(commands[0]) ? &commands[i] : NULL;
}

const struct command *command_find(const char *name)
{
    const struct command *command;

    for (size_t i = 0; (command = command_at(i)); i++)
        if (!strcmp(command->name, name))
            return command;
    return NULL;
}

/* ---- Ctrl-C: a flag that the library asks for between batches; the second time it is over ---- */

static volatile sig_atomic_t interrupted; /* a handler has nowhere else to write */

static void on_signal(int signal_number)
{
    (void)signal_number;
    if (interrupted)
        _exit(EXIT_INTERRUPTED);
    interrupted = 1;
}

int cmd_interrupted(void)
{
    return interrupted;
}

static void catch_signals(void)
{
    struct sigaction action = { .sa_handler = on_signal };

    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    /* a file grown to the limit is an error of write(), with a sentence, not the end */
    action.sa_handler = SIG_IGN;
    sigaction(SIGXFSZ, &action, NULL);
}

/* ---- messages ---- */

int cmd_fail(struct cmd *c, int status, const char *fmt, ...)
{
    va_list ap;

    if (c->err.code)
        return c->err.code;
    c->err.code = status;
    va_start(ap, fmt);
    vsnprintf(c->err.msg, sizeof(c->err.msg), fmt, ap);
    va_end(ap);
    return status;
}

void cmd_add(struct cmd *c, const char *text)
{
    size_t n = strlen(c->err.msg);

    snprintf(c->err.msg + n, sizeof(c->err.msg) - n, "%s", text);
}

static void say(struct cmd *c, const char *fmt, va_list ap)
{
    if (c->rank)
        return;
    progress_clear(c->progress);
    fprintf(stderr, "oubli: %s: ", c->command->name);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
}

void cmd_note(struct cmd *c, const char *fmt, ...)
{
    va_list ap;

    if (c->quiet)
        return;
    va_start(ap, fmt);
    say(c, fmt, ap);
    va_end(ap);
}

void cmd_warn(struct cmd *c, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(c, fmt, ap);
    va_end(ap);
}

static int exit_code(int status)
{
    switch (status) {
    case OB_OK:
    case CMD_HELPED:
        return EXIT_DONE;
    case OB_EINVAL:
    case OB_ENOTSUP:
        return EXIT_USAGE;
    case OB_EFORMAT:
    case OB_EVERSION:
        return EXIT_INPUT;
    case OB_EDIVERGED:
        return EXIT_DIVERGED;
    case OB_ECANCELLED:
        return EXIT_INTERRUPTED;
    default: /* OB_EIO, OB_ENOMEM, OB_ENOTFOUND, OB_EEXIST, OB_EBUG */
        return EXIT_FAILED;
    }
}

static void print_error(struct cmd *c, int status)
{
    progress_clear(c->progress);
    if (status == OB_ECANCELLED)
        fprintf(stderr, "oubli: %s: interrupted; %s\n", c->command->name,
                c->hint[0] ? c->hint : "nothing was written; the same command starts again");
    else
        fprintf(stderr, "oubli: %s: %s\n", c->command->name,
                c->err.msg[0] ? c->err.msg : "failed without a reason; please report this");
}

/* ---- memory that lives as long as the command ---- */

struct kept {
    struct kept *next;
    double align[1]; /* what the caller gets begins here */
};

void *cmd_alloc(struct cmd *c, size_t n, size_t size)
{
    struct kept *k = NULL;

    if (!size || n <= ((size_t)-1 / 2) / size)
        k = calloc(1, sizeof(struct kept) + n * size);
    if (!k) {
        fprintf(stderr, "oubli: %s: out of memory\n", c->command->name);
        exit(EXIT_FAILED);
    }
    k->next = c->kept;
    c->kept = k;
    return k->align;
}

const char *cmd_textf(struct cmd *c, const char *fmt, ...)
{
    va_list ap, again;
    char *text;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    text = cmd_alloc(c, n < 0 ? 1 : (size_t)n + 1, 1);
    if (n >= 0)
        vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return text;
}

static void cmd_release(struct cmd *c)
{
    while (c->kept) {
        struct kept *next = c->kept->next;

        free(c->kept);
        c->kept = next;
    }
    progress_free(c->progress);
    ob_ctx_free(c->ctx);
}

/* ---- the context ---- */

static void on_log(void *arg, int level, const char *line)
{
    if (level == OB_LOG_WARN)
        cmd_warn(arg, "%s", line);
    else if (level == OB_LOG_INFO)
        cmd_note(arg, "%s", line);
}

static void on_progress(void *arg, const struct ob_progress *now)
{
    progress_update(((struct cmd *)arg)->progress, now);
}

static int on_stop(void *arg)
{
    (void)arg;
    return interrupted;
}

/* Where decoded images are kept: OB_CACHE (a folder, or "off"), else a folder for such things. */
static const char *cache_folder(struct cmd *c)
{
    const char *own = getenv("OB_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    if (own && own[0])
        return strcmp(own, "off") ? own : NULL;
    if (xdg && xdg[0] == '/') /* others are to be ignored (XDG Base Directory Specification) */
        return cmd_textf(c, "%s/oubli", xdg);
    return home && home[0] == '/' ? cmd_textf(c, "%s/.cache/oubli", home) : NULL;
}

/* OB_CONV=general: 3 x 3 convolutions without Winograd's algorithm. */
static int read_conv(struct cmd *c, int *general)
{
    const char *text = getenv("OB_CONV");

    *general = text && !strcmp(text, "general");
    if (text && text[0] && !*general)
        return cmd_fail(c, OB_EINVAL, "OB_CONV is '%s'; there is general", text);
    return OB_OK;
}

/* How much memory may be taken in all: OB_MEMORY, a number of bytes with K, M, G or T behind it, or "off";
 * else what the system has free. */
static int memory_room(struct cmd *c, size_t *bytes)
{
    static const char units[] = "KMGT";
    const char *text = getenv("OB_MEMORY"), *unit;
    size_t n = text ? strlen(text) : 0;
    double x;

    *bytes = 0;
    if (!n)
        return OB_OK;
    *bytes = SIZE_MAX;
    if (!strcmp(text, "off"))
        return OB_OK;
    unit = strchr(units, text[n - 1]);
    if (!parse_double(unit ? cmd_textf(c, "%.*s", (int)n - 1, text) : text, &x) || !(x > 0))
        return cmd_fail(c, OB_EINVAL,
                        "OB_MEMORY is '%s'; a size such as 500M or 4G, or off, is needed", text);
    for (; unit && unit >= units; unit--)
        x *= 1024;
    if (x < 9e18)
        *bytes = (size_t)x + 1;
    return OB_OK;
}

int cmd_start(struct cmd *c)
{
    struct ob_ctx_opts o = OB_CTX_OPTS_INIT;
    const char *isa = getenv("OB_ISA");

    TRY(memory_room(c, &o.memory));
    TRY(read_conv(c, &o.general_conv));
    o.backend = c->backend;
    o.isa = isa && isa[0] ? isa : NULL;
    o.n_threads = c->threads;
    o.log = on_log;
    o.progress = on_progress;
    o.stop = on_stop;
    o.cache = cache_folder(c);
    o.arg = c;
    o.ranks = c->ranks;
    c->progress = progress_new(stderr, c->quiet || c->rank);
    if (!c->progress)
        return cmd_fail(c, OB_ENOMEM, "out of memory");
    return ob_ctx_new(&c->ctx, &o, &c->err);
}

double cmd_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the way in ---- */

static int unknown_command(const char *name)
{
    const struct command *command, *near = NULL;
    int best = 99;

    for (size_t i = 0; (command = command_at(i)); i++) {
        int d = word_distance(name, command->name);

        if (d < best && word_is_near(name, command->name)) {
            best = d;
            near = command;
        }
    }
    if (near)
        fprintf(stderr, "oubli: there is no command '%s'; did you mean '%s'?\n", name, near->name);
    else
        fprintf(stderr, "oubli: there is no command '%s'; 'oubli help' lists them\n", name);
    return EXIT_USAGE;
}

/* mpirun may start many processes of these for one job. */
static int has_ranks(const struct command *command)
{
    return command->run == cmd_train || command->run == cmd_bank;
}

/* Results and words are rank 0's. */
static int join_ranks(struct cmd *c)
{
    TRY(ob_ranks_join(&c->ranks, &c->err));
    c->rank = ob_ranks_me(c->ranks);
    if (c->rank && !freopen("/dev/null", "w", stdout))
        return cmd_fail(c, OB_EIO, "there is no /dev/null");
    return OB_OK;
}

static int run(const struct command *command, int argc, const char **argv)
{
    struct cmd c = { .command = command, .seed = 1 };
    int status = has_ranks(command) ? join_ranks(&c) : OB_OK;

    if (!status)
        status = command->run(&c, argc, argv);
    progress_clear(c.progress);
    if ((fflush(stdout) || ferror(stdout)) && !exit_code(status))
        status = cmd_fail(&c, OB_EIO, "the result could not be written to standard output");
    status = ob_ranks_agree(c.ranks, exit_code(status) ? status : OB_OK, &c.err);
    if (status && !c.rank)
        print_error(&c, status);
    cmd_release(&c);
    ob_ranks_leave(c.ranks);
    return exit_code(status);
}

/* GCC's OpenMP lets threads wait for each other by spinning for milliseconds. On a machine that
 * somebody else uses too this takes the processor from the very thread that is waited for; some
 * microseconds of spinning, then sleep, costs nothing when quiet. It reads its settings before
 * main() begins, hence the second start. What the user has set stays. */
static void wait_patiently(char **argv)
{
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT"))
        return;
    if (!setenv("GOMP_SPINCOUNT", "3000", 1))
        execv("/proc/self/exe", argv); /* where this fails, we go on as we are */
}

int main(int argc, char **argv)
{
    const struct command *command;
    const char *name = argc > 1 ? argv[1] : NULL;
    const char *help[] = { "help", NULL };

    wait_patiently(argv);
    catch_signals();
    if (!name) {
        fprintf(stderr, "oubli: which command? 'oubli help' lists them\n");
        return EXIT_USAGE;
    }
    if (!strcmp(name, "--version")) {
        printf("oubli %s\n", OB_VERSION);
        return fflush(stdout) ? EXIT_FAILED : EXIT_DONE;
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "-?"))
        return run(command_find("help"), 1, help);
    command = command_find(name);
    if (!command)
        return unknown_command(name);
    return run(command, argc - 1, (const char **)argv + 1);
}
