/* u_optim.c - three steps of each optimiser against torch.optim 1.13 in float64. */
#include "common.h"

#include <math.h>

#include "run/train.h"

/* p = (1, -2, 0.5, 3), gradient at step t: (0.5 (t + 1), -1, 2 - t, 0), weight decay 0.2 */
struct want {
    const char *kind;
    double lr, p[4];
};

static void three_steps(const char *backend, const struct want *w, const uint8_t *mask)
{
    static const float start[4] = { 1, -2, 0.5f, 3 };
    struct ob_ctx_opts co = OB_CTX_OPTS_INIT;
    struct ob_optim o;
    struct ob_ctx *ctx;
    _Alignas(64) float p[16] = { 0 }, g[16] = { 0 };

    co.backend = backend;
    must(ob_ctx_new(&ctx, &co, err));
    must(ob_optim_init(&o, ctx, w->kind, 4, 0.9, 0.2, err));
    o.mask = mask;
    memcpy(p, start, sizeof(start));
    for (int t = 0; t < 3; t++) {
        g[0] = 0.5f * (float)(t + 1);
        g[1] = -1;
        g[2] = 2.0f - (float)t;
        g[3] = 0;
        ob_optim_step(&o, p, g, w->lr);
    }
    for (int i = 0; i < 4; i++) {
        double want = mask && !mask[i] ? start[i] : w->p[i];

        if (fabs(p[i] - want) > 2e-6)
            fail_msg("%s on %s: element %d is %.9g, torch says %.9g", w->kind, backend, i, p[i],
                     want);
    }
    ob_optim_release(&o);
    ob_ctx_free(ctx);
}

static const struct want wanted[] = {
    { "sgd", 0.3, { -0.694376, 0.236752, -1.703128, 2.041392 } },
    { "adam", 0.05, { 0.852196834, -1.850035504, 0.365813511, 2.850087287 } },
    { "adamw", 0.05, { 0.825617431, -1.792093001, 0.353972731, 2.910897 } },
};

static void against_torch(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        three_steps("ref", &wanted[i], NULL);
        three_steps("cpu", &wanted[i], NULL);
    }
}

/* What the mask holds does not move at all: not by decay, not by momentum. */
static void masked(void **state)
{
    static const uint8_t mask[64] = { 1, 0, 0, 1 };

    (void)state;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        three_steps("ref", &wanted[i], mask);
        three_steps("cpu", &wanted[i], mask);
    }
}

static void unknown(void **state)
{
    struct ob_ctx_opts co = OB_CTX_OPTS_INIT;
    struct ob_optim o;
    struct ob_ctx *ctx;

    (void)state;
    must(ob_ctx_new(&ctx, &co, err));
    must_fail(ob_optim_init(&o, ctx, "adamax", 4, 0.9, 0, err), OB_EINVAL, "adamax");
    ob_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_torch),
        cmocka_unit_test(masked),
        cmocka_unit_test(unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
