/* u_settings.c - settings of methods: defaults, ranges, names, the canonical text; the template. */
#include "common.h"

#include <math.h>

#include "base/mem.h"
#include "unlearn/settings.h"
#include "unlearn/template.c"

static void all_of(char *out, const char *spec)
{
    const struct ob_method *m;
    const char *settings;

    must(ob_method_parse(&m, &settings, spec, err));
    must(ob_settings_check(m, settings, out, err));
}

static void same_text(const char *spec, const char *wanted)
{
    char text[OB_SETTINGS_ROOM];

    all_of(text, spec);
    assert_string_equal(text, wanted);
}

static void test_defaults(void **state)
{
    (void)state;
#define REST                                                                                       \
    ":batch=256:momentum=0.9:weight-decay=0.0005:augment=none:schedule=constant:optimizer=sgd"
    same_text("none", "");
    same_text("retrain", "");
    same_text("finetune", "epochs=10:lr=0.01" REST);
    same_text("l1-sparse", "alpha=1e-05:epochs=10:lr=0.02" REST);
    same_text("neggrad", "ceiling=0:epochs=10:lr=0.0001" REST);
    same_text("neggrad-plus",
              "alpha=0.97:proximal=0:batchnorm=train:ceiling=0:epochs=5:lr=0.01" REST);
    same_text("scrub",
              "msteps=4:temperature=4:beta=0.5:gamma=1:variant=paper:epochs=5:lr=0.005" REST);
    same_text("random-label", "labels=any:epochs=10:lr=0.1" REST);
    same_text("salun",
              "share=0.5:mask-at=step:labels=any:variant=paper:mask-lr=0.01:epochs=10:lr=0.1" REST);
}

static void test_given(void **state)
{
    (void)state;
    same_text("salun:epochs=3:mask-at=original:share=0.30:lr=1e-1:schedule=cosine:optimizer=adamw",
              "share=0.3:mask-at=original:labels=any:variant=paper:mask-lr=0.01:epochs=3:lr=0.1:"
              "batch=256:"
              "momentum=0.9:weight-decay=0.0005:augment=none:schedule=cosine:optimizer=adamw");
    same_text("retrain:schedule=step:60,120,x0.2:epochs=200:lr=0.123456789012",
              "epochs=200:lr=0.123456789012:schedule=step:60,120,x0.2");
    same_text("retrain:lr=0.1:schedule=step:60,x0.2", "lr=0.1:schedule=step:60,x0.2");
    same_text("finetune:epochs=0", "epochs=0:lr=0.01" REST);
}

static void refused(const char *method, const char *settings, const char *word)
{
    must_fail(ob_settings_check(ob_method_find(method), settings, NULL, err), OB_EINVAL, word);
}

static void test_refused(void **state)
{
    const struct ob_method *m;
    const char *s;

    (void)state;
    must_fail(ob_method_parse(&m, &s, "salum:share=1", err), OB_EINVAL, "did you mean 'salun'");
    refused("finetune", "lrr=1", "did you mean 'lr'");
    refused("salun", "shar=1", "did you mean 'share'");
    refused("none", "lr=1", "no settings");
    refused("finetune", "lr=0", "from 1e-12 to 1000000");
    refused("finetune", "lr=-1", "lr is '-1'");
    refused("finetune", "lr=nan", "lr is 'nan'");
    refused("finetune", "lr=inf", "lr is 'inf'");
    refused("finetune", "lr=1x", "not a number");
    refused("finetune", "epochs=1.5", "not a whole number");
    refused("finetune", "epochs=-1", "from 0 to");
    refused("finetune", "batch=0", "from 1 to 65536");
    refused("finetune", "momentum=1", "momentum");
    refused("finetune", "schedule=step:3,x0.1", "not one of constant,linear,cosine");
    refused("finetune", "lr=1:lr=2", "twice");
    refused("finetune", "lr", "does not start with a setting");
    refused("finetune", "lr=", "no value");
    refused("finetune", "=1", "does not start with a setting");
    refused("finetune", ":", "does not start with a setting");
    refused("neggrad-plus", "alpha=1.01", "from 0 to 1");
    refused("salun", "share=1.5", "from 0 to 1");
    refused("salun", "mask-at=end", "not one of step,original");
    refused("scrub", "temperature=0", "temperature");
}

/* What would be ignored is refused, unless it is what holds anyway. */
static void test_without_effect(void **state)
{
    (void)state;
    refused("salun", "mask-lr=0.1", "mask-lr counts only with variant=released, and variant is");
    refused("salun", "mask-lr=0.1:variant=paper", "set that, or leave mask-lr out");
    refused("certified", "c2=2", "clip=model|both, and clip is 'gradient'");
    refused("certified", "clip=model:c1=2", "c1 counts only with clip=gradient|both");
    refused("influence", "variant=released:tau=3", "tau counts only with variant=correct");
    refused("influence", "variant=released:solver=cg:tolerance=0.1", "solver counts only with");
    refused("influence", "tolerance=0.1", "and solver is 'gram'");
    refused("influence", "block=7:solver=cg", "block counts only with solver=gram");
    refused("fisher", "variant=label:class-row=reset", "variant=sample|batch, and variant is");
    refused("ssd", "batch=64", "importance=batch");
    refused("finetune", "momentum=0.5:optimizer=adam", "momentum counts only with optimizer=sgd");
    refused("unsir", "momentum=0.5", "and optimizer is 'adam'");
    must(ob_settings_check(ob_method_find("salun"), "mask-lr=0.010:variant=paper", NULL, err));
    must(ob_settings_check(ob_method_find("salun"), "mask-lr=0.1:variant=released", NULL, err));
    must(ob_settings_check(ob_method_find("certified"), "c2=2:c1=1:clip=both", NULL, err));
    must(ob_settings_check(ob_method_find("influence"), "block=7", NULL, err));
    must(ob_settings_check(ob_method_find("fisher"), "variant=batch:head=1:batch=9", NULL, err));
    must(ob_settings_check(ob_method_find("retrain"), "momentum=0.5", NULL, err));
}

/* Whether each of "name=word|word,..." is a choice that the method has. */
static void check_when(const struct ob_method *m, const char *when)
{
    char copy[128], *save = NULL, *save_word = NULL;

    assert_true((size_t)snprintf(copy, sizeof(copy), "%s", when) < sizeof(copy));
    for (char *one = strtok_r(copy, ",", &save); one; one = strtok_r(NULL, ",", &save)) {
        char *name = strtok_r(one, "=", &save_word), *word;

        while ((word = strtok_r(NULL, "|", &save_word))) {
            char settings[OB_TEXT_ROOM];

            snprintf(settings, sizeof(settings), "%s=%s", name, word);
            must(ob_settings_check(m, settings, NULL, err));
        }
    }
}

static void test_every_option(void **state)
{
    const struct ob_method *m;

    (void)state;
    for (size_t i = 0; (m = ob_method_at(i)); i++) {
        struct ob_method_info info;

        ob_method_info(m, &info);
        assert_ptr_equal(ob_method_find(info.name), m);
        assert_string_equal(ob_method_nearest(info.name), info.name);
        assert_non_null(info.title);
        assert_non_null(info.formula);
        if (m->needs_if) /* all of it */
            assert_string_equal(info.needs + strlen(info.needs) - strlen(m->needs_if), m->needs_if);
        for (size_t k = 0; k < info.n_options; k++) {
            const struct ob_option *o = ob_method_option(m, k);

            assert_non_null(o->help);
            assert_int_equal(o->type == OB_OPT_CHOICE, o->choices != NULL);
            assert_int_equal(o->type == OB_OPT_TEXT, o->format != NULL);
            if (o->when)
                check_when(m, o->when);
            if (o->type == OB_OPT_INT || o->type == OB_OPT_FLOAT)
                assert_true(isnan(o->def) || (o->def >= o->min && o->def <= o->max));
        }
        assert_null(ob_method_option(m, info.n_options));
    }
    assert_null(ob_method_find("template"));
    assert_null(ob_method_at(1000));
}

static void test_numbers(void **state)
{
    static const double x[] = { 0.1, 1e-5, 5e-4, 1.0 / 3, 256, 1e22, 0.30000000000000004 };
    char text[32];

    (void)state;
    for (size_t i = 0; i < sizeof(x) / sizeof(x[0]); i++) {
        ob_settings_number(text, x[i]);
        assert_true(strtod(text, NULL) == x[i]);
    }
    ob_settings_number(text, 0.1);
    assert_string_equal(text, "0.1");
}

static void test_template(void **state)
{
    char text[OB_SETTINGS_ROOM];

    (void)state;
    must(ob_settings_check(&ob_method_template, "strength=2", text, err));
    assert_string_equal(text, "strength=2:epochs=5:lr=0.01" REST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),     cmocka_unit_test(test_given),
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_without_effect),
        cmocka_unit_test(test_every_option), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_template),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
