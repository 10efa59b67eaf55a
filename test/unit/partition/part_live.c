#include "part_fixture.h"
