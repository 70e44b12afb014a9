#define PLANTED ""
