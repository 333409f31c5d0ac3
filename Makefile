# oubli - build with GNU Make. Targets: all check lint bench install clean
#
#   make O=dir            build there (default: build)
#   make SAN=address      or undefined, thread: with a sanitizer, in build-SAN
#   make CC=clang DEBUG=1 promises broken inside abort
#   make MPI=1            many processes, many machines: mpirun oubli bank train, train

SAN ?=
O ?= build$(if $(SAN),-$(SAN))
PREFIX ?= /usr/local
CC ?= cc
AR ?= ar
MPI ?=
MPICC ?= mpicc

PACKAGES = popt jansson inih libxxhash libsodium zlib liblzma libpng libturbojpeg
LIB_PACKAGES = jansson libxxhash libsodium zlib liblzma libpng libturbojpeg
DEFINES = -D_POSIX_C_SOURCE=200809L $(if $(DEBUG),-DOB_DEBUG)
WARN = -Wall -Wextra -Wpedantic -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes \
       $(if $(WERROR),-Werror)
STRICT = -Wconversion
FLAGS = -std=c11 -O2 -g -fno-math-errno -ffp-contract=off -fopenmp -fPIC \
        $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
CFLAGS ?=
# libraries' headers come in as system headers: their warnings are not ours
INCLUDE := -Iinclude -Isrc $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PACKAGES)))
LIBS = $(shell pkg-config --libs $(LIB_PACKAGES)) -lsvm -lm
CLI_LIBS = $(shell pkg-config --libs popt jansson inih)
COMPILE_FLAGS = $(FLAGS) $(DEFINES) $(WARN) $(INCLUDE) $(CFLAGS) -MMD -MP
COMPILE = $(CC) $(COMPILE_FLAGS)
# our compiler with MPI's headers and libraries
WITH_MPI = OMPI_CC="$(CC)" MPICH_CC="$(CC)" $(MPICC)
LINK = $(if $(MPI),$(WITH_MPI),$(CC))

# Kernels are built once per instruction set; the best that the machine has is chosen at start.
ISAS = baseline $(if $(filter x86_64-%,$(shell $(CC) -dumpmachine)),avx2 avx512)
# vectors never cross calls, so their ABI is of no matter
KERNEL_FLAGS = -O3 -ffp-contract=fast -Wno-psabi
ISA_FLAGS_baseline =
ISA_FLAGS_avx2 = -mavx2 -mfma
ISA_FLAGS_avx512 = -mavx2 -mfma -mavx512f -mavx512vl -mavx512dq

KERNEL_SRC = $(wildcard src/backend/cpu/kernel_*.c)
LIB_SRC = $(filter-out $(KERNEL_SRC) src/unlearn/template.c src/base/mpi.c src/base/nompi.c, \
          $(wildcard src/*/*.c src/backend/cpu/*.c))
CLI_SRC = $(wildcard cli/*.c)
ANY_OBJ = $(LIB_SRC:%.c=$(O)/%.o) \
          $(foreach i,$(ISAS),$(KERNEL_SRC:%.c=$(O)/%.$(i).o))
MPI_OBJ = $(O)/src/base/mpi.o
LIB_OBJ = $(ANY_OBJ) $(if $(MPI),$(MPI_OBJ),$(O)/src/base/nompi.o)
CLI_OBJ = $(CLI_SRC:%.c=$(O)/%.o)

# One program per file: tests/<kind>/<name>.c. tests/*.h are shared.
TEST_SRC = $(wildcard tests/unit/*.c tests/contract/*.c tests/golden/*.c tests/corrupt/*.c \
                      tests/fault/*.c)
TEST_BIN = $(TEST_SRC:%.c=$(O)/%)
FUZZ_SRC = $(filter-out fuzz/driver.c,$(wildcard fuzz/*.c))
FUZZ_BIN = $(FUZZ_SRC:%.c=$(O)/%)
BENCH_BIN = $(patsubst %.c,$(O)/%,$(wildcard bench/*.c))

.PHONY: all check tests lint bench install clean FORCE
all: $(O)/oubli

# Objects made with another compiler or other flags are made again, never mixed.
SETTINGS := $(subst ','\'',$(COMPILE) $(STRICT) $(KERNEL_FLAGS) $(ISAS))
$(O)/settings: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(SETTINGS)' | cmp -s - $@ || printf '%s\n' '$(SETTINGS)' > $@

$(O)/mpi: FORCE
	@mkdir -p $(@D)
	@echo '$(MPI)' | cmp -s - $@ || echo '$(MPI)' > $@

$(O)/oubli: $(CLI_OBJ) $(O)/liboubli.a
	$(LINK) $(FLAGS) -o $@ $^ $(CLI_LIBS) $(LIBS)

$(O)/liboubli.a: $(LIB_OBJ) $(O)/mpi
	@rm -f $@
	$(AR) rcs $@ $(LIB_OBJ)

# the program with MPI beside one without, for the tests
$(O)/oubli-mpi: $(CLI_OBJ) $(ANY_OBJ) $(MPI_OBJ)
	$(WITH_MPI) $(FLAGS) -o $@ $^ $(CLI_LIBS) $(LIBS)

$(MPI_OBJ): src/base/mpi.c $(O)/settings
	@mkdir -p $(@D)
	$(WITH_MPI) $(COMPILE_FLAGS) -c -o $@ $<

STRICT_ROOMS = base data work
$(foreach r,$(STRICT_ROOMS),$(eval $(O)/src/$(r)/%.o: WARN += $(STRICT)))

$(O)/src/backend/cpu/dispatch.o: DEFINES += $(ISAS:%=-DOB_HAS_%)

$(O)/%.o: %.c $(O)/settings
	@mkdir -p $(@D)
	$(COMPILE) -c -o $@ $<

define isa_rule
$(O)/src/backend/cpu/%.$(1).o: src/backend/cpu/%.c $(O)/settings
	@mkdir -p $$(@D)
	$$(COMPILE) $(KERNEL_FLAGS) $(ISA_FLAGS_$(1)) -DOB_ISA=$(1) -c -o $$@ $$<
endef
$(foreach i,$(ISAS),$(eval $(call isa_rule,$(i))))

# ---- tests ----

$(O)/tests/%: tests/%.c $(O)/liboubli.a
	@mkdir -p $(@D)
	$(LINK) $(COMPILE_FLAGS) -Itests -o $@ $< $(O)/liboubli.a -lcmocka $(LIBS)

$(O)/fuzz/%: fuzz/%.c fuzz/driver.c $(O)/liboubli.a
	@mkdir -p $(@D)
	$(LINK) $(COMPILE_FLAGS) -o $@ $< fuzz/driver.c $(O)/liboubli.a $(LIBS)

$(O)/bench/%: bench/%.c $(O)/liboubli.a
	@mkdir -p $(@D)
	$(LINK) $(COMPILE_FLAGS) -o $@ $< $(O)/liboubli.a $(LIBS)

tests: $(TEST_BIN) $(FUZZ_BIN) $(if $(shell command -v $(MPICC)),$(O)/oubli-mpi)

check: all tests
	tests/run $(O)

lint:
	tools/lint

bench: all $(BENCH_BIN)
	script/bench

# ---- installation ----

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include
	install -m 755 $(O)/oubli $(DESTDIR)$(PREFIX)/bin/oubli
	install -m 644 $(O)/liboubli.a $(DESTDIR)$(PREFIX)/lib/liboubli.a
	install -m 644 include/oubli.h $(DESTDIR)$(PREFIX)/include/oubli.h
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@PACKAGES@|$(LIB_PACKAGES)|' \
	    -e "s|@VERSION@|$$(sed -n 's/^#define OB_VERSION "\(.*\)"/\1/p' include/oubli.h)|" \
	    -e 's|@MPI@|$(if $(MPI),$(shell $(MPICC) --showme:link 2>/dev/null))|' \
	    -e 's|@OPENMP@|$(if $(findstring clang,$(shell $(CC) --version)),-lomp,-lgomp)|' \
	    tools/oubli.pc.in \
	    > $(DESTDIR)$(PREFIX)/lib/pkgconfig/oubli.pc

clean:
	rm -rf $(O)

-include $(LIB_OBJ:.o=.d) $(MPI_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(TEST_BIN:=.d) $(FUZZ_BIN:=.d) $(BENCH_BIN:=.d)
