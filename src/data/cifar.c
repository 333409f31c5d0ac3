/*
 * cifar.c - "cifar10:DIR" and "cifar100:DIR": the binary version (Krizhevsky 2009), also .gz or .xz.
 *
 * A record is a label byte (CIFAR-100: coarse, then fine), then 3 x 32 x 32 bytes.
 */
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "data/data.h"

#define SIDE 32
#define PIXELS ((size_t)3 * SIDE * SIDE)
#define MAX_FILE ((size_t)1 << 31)
#define MAX_FILES 5

static const char *const class10[] = { "airplane", "automobile", "bird",  "cat",  "deer",
                                       "dog",      "frog",       "horse", "ship", "truck" };
static const char *const fine[] = {
    "apple",       "aquarium_fish", "baby",      "bear",       "beaver",       "bed",
    "bee",         "beetle",        "bicycle",   "bottle",     "bowl",         "boy",
    "bridge",      "bus",           "butterfly", "camel",      "can",          "castle",
    "caterpillar", "cattle",        "chair",     "chimpanzee", "clock",        "cloud",
    "cockroach",   "couch",         "crab",      "crocodile",  "cup",          "dinosaur",
    "dolphin",     "elephant",      "flatfish",  "forest",     "fox",          "girl",
    "hamster",     "house",         "kangaroo",  "keyboard",   "lamp",         "lawn_mower",
    "leopard",     "lion",          "lizard",    "lobster",    "man",          "maple_tree",
    "motorcycle",  "mountain",      "mouse",     "mushroom",   "oak_tree",     "orange",
    "orchid",      "otter",         "palm_tree", "pear",       "pickup_truck", "pine_tree",
    "plain",       "plate",         "poppy",     "porcupine",  "possum",       "rabbit",
    "raccoon",     "ray",           "road",      "rocket",     "rose",         "sea",
    "seal",        "shark",         "shrew",     "skunk",      "skyscraper",   "snail",
    "snake",       "spider",        "squirrel",  "streetcar",  "sunflower",    "sweet_pepper",
    "table",       "tank",          "telephone", "television", "tiger",        "tractor",
    "train",       "trout",         "tulip",     "turtle",     "wardrobe",     "whale",
    "willow_tree", "wolf",          "woman",     "worm"
};
static const char *const coarse[] = { "aquatic_mammals",
                                      "fish",
                                      "flowers",
                                      "food_containers",
                                      "fruit_and_vegetables",
                                      "household_electrical_devices",
                                      "household_furniture",
                                      "insects",
                                      "large_carnivores",
                                      "large_man-made_outdoor_things",
                                      "large_natural_outdoor_scenes",
                                      "large_omnivores_and_herbivores",
                                      "medium_mammals",
                                      "non-insect_invertebrates",
                                      "people",
                                      "reptiles",
                                      "small_mammals",
                                      "trees",
                                      "vehicles_1",
                                      "vehicles_2" };

struct layout {
    const char *folder; /* as the archive unpacks */
    const char *file[2][MAX_FILES];
    size_t n_labels, label; /* label bytes of a record; the one in use */
    const char *const *class_name;
    int n_classes;
};

/* DIR itself, or the folder inside it that the archive unpacks to. */
static void locate(char *out, size_t room, const char *dir, const struct layout *l,
                   const char *file)
{
    snprintf(out, room, "%s/%s/%s", dir, l->folder, file);
    for (int i = 0; i < 3; i++) {
        static const char *const ending[] = { "", ".gz", ".xz" };
        char path[700];

        snprintf(path, sizeof(path), "%s%s", out, ending[i]);
        if (ob_file_exists(path))
            return;
    }
    snprintf(out, room, "%s/%s", dir, file);
}

/* The records of one file become examples from number `first` on. */
static void take_records(struct ob_examples *e, size_t first, const struct ob_file *f,
                         const struct layout *l)
{
    size_t record = l->n_labels + PIXELS, n = f->n / record;

    for (size_t i = 0; i < n; i++) {
        const unsigned char *p = f->data + i * record;

        e->label[first + i] = p[l->label];
        memcpy(e->u8 + (first + i) * PIXELS, p + l->n_labels, PIXELS);
    }
}

static int read_file(struct ob_file *f, const struct ob_data *d, size_t *n, const char *dir,
                     const struct layout *l, const char *name, struct ob_err *err)
{
    size_t record = l->n_labels + PIXELS;
    char path[650];

    locate(path, sizeof(path), dir, l, name);
    OB_TRY(ob_data_read_file(f, d, path, MAX_FILE, err));
    if (!f->n || f->n % record)
        return ob_fail(err, OB_EFORMAT, "'%s' holds %zu bytes, not a multiple of %zu (one image)",
                       f->path, f->n, record);
    for (size_t at = 0; at < f->n; at += record)
        if (f->data[at + l->label] >= l->n_classes)
            return ob_fail(err, OB_EFORMAT, "'%s': image %zu has label %d, of %d classes", f->path,
                           at / record, f->data[at + l->label], l->n_classes);
    *n += f->n / record;
    return OB_OK;
}

static int read_part(struct ob_data *d, const char *dir, const struct layout *l, int part,
                     struct ob_err *err)
{
    struct ob_file f[MAX_FILES] = { { 0 } };
    size_t n = 0, first = 0;
    int rc = OB_OK;

    for (int i = 0; i < MAX_FILES && l->file[part][i]; i++)
        OB_GO(read_file(&f[i], d, &n, dir, l, l->file[part][i], err));
    OB_GO(ob_examples_alloc(d, part, n, 0, err));
    for (int i = 0; i < MAX_FILES && f[i].n; i++) {
        take_records(&d->ex[part], first, &f[i], l);
        first += f[i].n / (l->n_labels + PIXELS);
        ob_file_release(&f[i]);
    }
out:
    for (int i = 0; i < MAX_FILES; i++)
        ob_file_release(&f[i]);
    return rc;
}

static int open_layout(struct ob_data *d, const char *dir, const struct layout *l,
                       struct ob_err *err)
{
    d->info.channels = 3;
    d->info.height = d->info.width = SIDE;
    d->info.n_classes = l->n_classes;
    OB_TRY(ob_alloc(d->class_name, (size_t)l->n_classes, err));
    for (int c = 0; c < l->n_classes; c++)
        snprintf(d->class_name[c], sizeof(d->class_name[c]), "%s", l->class_name[c]);
    OB_TRY(read_part(d, dir, l, OB_TRAIN, err));
    return read_part(d, dir, l, OB_TEST, err);
}

static int open_cifar10(struct ob_data *d, const struct ob_data_arg *a, struct ob_err *err)
{
    static const struct layout l = {
        .folder = "cifar-10-batches-bin",
        .file = { { "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                    "data_batch_5.bin" },
                  { "test_batch.bin" } },
        .n_labels = 1,
        .class_name = class10,
        .n_classes = 10,
    };

    d->info.name = "cifar10";
    return open_layout(d, a->where, &l, err);
}

static int open_cifar100(struct ob_data *d, const struct ob_data_arg *a, struct ob_err *err)
{
    struct layout l = {
        .folder = "cifar-100-binary",
        .file = { { "train.bin" }, { "test.bin" } },
        .n_labels = 2,
        .label = 1,
        .class_name = fine,
        .n_classes = 100,
    };

    for (int i = 0; i < a->n; i++) { /* there is only "labels" */
        if (!strcmp(a->value[i], "coarse")) {
            l.label = 0;
            l.class_name = coarse;
            l.n_classes = 20;
        } else if (strcmp(a->value[i], "fine")) {
            return ob_fail(err, OB_EINVAL, "'labels=%s': fine or coarse is needed", a->value[i]);
        }
    }
    d->info.name = "cifar100";
    return open_layout(d, a->where, &l, err);
}

const struct ob_source ob_source_cifar10 = { "cifar10", "", open_cifar10 };
const struct ob_source ob_source_cifar100 = { "cifar100", "labels", open_cifar100 };
