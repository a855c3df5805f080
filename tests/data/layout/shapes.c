#include <linux/kvm.h>
#include <asm/kvm.h>
/* Every kind and every shape that a reader must tell apart. */
typedef struct { int x; short y[3]; } anonymous_by_typedef;
enum small { ONE = 1, MINUS = -1 };
enum large { HUGE = 0x100000000ULL };
struct forward;
union pair { char bytes[8]; double real; };
struct shapes {
	const volatile unsigned char *const restrict_pointer;
	int grid[2][3];
	anonymous_by_typedef by_typedef;
	anonymous_by_typedef many[2];
	enum small small;
	enum large large;
	struct forward *forward;
	union pair pair;
	unsigned a : 3, b : 7, : 0, c : 1;
	struct { union { long l; struct { char c; int i; }; }; } named[2];
	int (*call)(int, const char *);
	float f;
	long double ld;
	struct shapes *next;
	char tail[];
};
struct shapes shapes; struct kvm_run run; int variable; static int internal(int a, struct kvm_run *r) { return a + variable; }
void _start(void) { for (;;) { internal(1, &run); } }
