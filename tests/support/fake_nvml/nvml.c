/* A stand-in for libnvidia-ml.so.1: the functions that passloop calls, answering from a text file.
 *
 * FAKE_NVML names the file; it is read again at every count of devices, so a test can change the machine while a
 * process looks at it. Without FAKE_NVML the library says that it cannot be found. One thing a line:
 *
 *   driver fail=nvmlInitWithFlags:9                      fail = function:code, several with commas
 *   gpu uuid=GPU-a name=Fake_H100 bus=0000:18:00 total=81559 used=600 reserved=500 util=3 power=70000 mig=0 fail=
 *   mig uuid=MIG-a name=... total= used= gi=1 ci=0       an instance of the GPU before it
 *   compute pid=7 used=500 gi=1 ci=0                     on the device before it; no used= is "not available"
 *   graphics pid=8 used=100
 *   link to=0000:19:00 | link switch=1 | link off=1      an NVLink of the GPU before it
 *
 * Memory is in MiB, power in mW. With OLD_DRIVER defined, functions that came later are not there at all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 16
#define MIB (1ULL << 20)
#define NONE 0xFFFFFFFFu
enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, NO_LIBRARY = 12 };

typedef unsigned int uint;
typedef unsigned long long ull;
typedef struct { uint pid; ull used; uint gi, ci; } Process;
typedef struct { uint on, is_switch, domain, bus, device; } Link;
typedef struct Device {
    char uuid[96], name[96], fail[512];
    uint domain, bus, device, util, power, mig, gi, ci, is_mig;
    ull total, used, reserved;
    int computes, graphics, links, instances;
    Process compute[MOST], graphic[MOST];
    Link link[MOST];
    struct Device *instance[MOST];
} Device;
typedef struct { char legacy[16]; uint domain, bus, device, id, subsystem; char bus_id[32]; } Pci;
typedef struct { ull total, free, used; } Memory;
typedef struct { uint version; ull total, reserved, free, used; } Memory2;
typedef struct { uint gpu, memory; } Rates;

static Device gpus[MOST], instances[MOST * MOST];
static int gpu_count, instance_count, ready;
static char driver_fail[512];

static void text_of(const char *line, const char *key, char *into, size_t size) {
    char sought[32];
    snprintf(sought, sizeof sought, " %s=", key);
    const char *found = strstr(line, sought);
    into[0] = 0;
    if (!found) return;
    found += strlen(sought);
    size_t length = strcspn(found, " \n");
    if (length >= size) length = size - 1;
    memcpy(into, found, length);
    into[length] = 0;
}

static ull number_of(const char *line, const char *key, ull otherwise) {
    char text[64];
    text_of(line, key, text, sizeof text);
    return text[0] ? strtoull(text, NULL, 10) : otherwise;
}

static void bus_of(const char *line, const char *key, uint *domain, uint *bus, uint *device) {
    char text[64];
    text_of(line, key, text, sizeof text);
    sscanf(text, "%x:%x:%x", domain, bus, device);
}

static void device_of(const char *line, Device *one) {
    memset(one, 0, sizeof *one);
    text_of(line, "uuid", one->uuid, sizeof one->uuid);
    text_of(line, "name", one->name, sizeof one->name);
    for (char *letter = one->name; *letter; letter++) if (*letter == '_') *letter = ' ';
    text_of(line, "fail", one->fail, sizeof one->fail);
    bus_of(line, "bus", &one->domain, &one->bus, &one->device);
    one->total = number_of(line, "total", 0) * MIB;
    one->used = number_of(line, "used", 0) * MIB;
    one->reserved = number_of(line, "reserved", 0) * MIB;
    one->util = number_of(line, "util", 0);
    one->power = number_of(line, "power", 0);
    one->mig = number_of(line, "mig", 0);
    one->gi = number_of(line, "gi", NONE);
    one->ci = number_of(line, "ci", NONE);
}

static void add_process(const char *line, Process *one) {
    ull used = number_of(line, "used", ~0ULL);
    one->pid = number_of(line, "pid", 0);
    one->used = used == ~0ULL ? used : used * MIB;
    one->gi = number_of(line, "gi", NONE);
    one->ci = number_of(line, "ci", NONE);
}

static void read_machine(void) {
    char line[1024];
    const char *path = getenv("FAKE_NVML");
    FILE *file = path ? fopen(path, "r") : NULL;
    Device *last = NULL, *gpu = NULL;
    gpu_count = instance_count = 0;
    driver_fail[0] = 0;
    while (file && fgets(line, sizeof line, file)) {
        if (!strncmp(line, "driver ", 7)) text_of(line, "fail", driver_fail, sizeof driver_fail);
        if (!strncmp(line, "gpu ", 4)) device_of(line, last = gpu = &gpus[gpu_count++]);
        if (!strncmp(line, "mig ", 4)) {
            device_of(line, last = gpu->instance[gpu->instances++] = &instances[instance_count++]);
            last->is_mig = 1;
        }
        if (!strncmp(line, "compute ", 8)) add_process(line, &last->compute[last->computes++]);
        if (!strncmp(line, "graphics ", 9)) add_process(line, &last->graphic[last->graphics++]);
        if (!strncmp(line, "link ", 5)) {
            Link *link = &gpu->link[gpu->links++];
            link->on = !number_of(line, "off", 0);
            link->is_switch = number_of(line, "switch", 0);
            bus_of(line, "to", &link->domain, &link->bus, &link->device);
        }
    }
    if (file) fclose(file);
}

static int told(const char *fails, const char *function) {
    size_t length = strlen(function);
    for (const char *at = fails; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (!strncmp(at, function, length) && at[length] == ':') return atoi(at + length + 1);
    return OK;
}

#define CHECK(device)                                                   \
    do {                                                                \
        if (!ready) return UNINITIALIZED;                               \
        int code = told(driver_fail, __func__);                         \
        if (!code) code = told(((Device *)(device))->fail, __func__);   \
        if (code) return code;                                          \
    } while (0)

int nvmlInitWithFlags(uint flags) {
    (void)flags;
    if (!getenv("FAKE_NVML")) return NO_LIBRARY;
    read_machine();
    int code = told(driver_fail, __func__);
    if (!code) ready++;
    return code;
}

int nvmlShutdown(void) { return ready ? (ready--, OK) : UNINITIALIZED; }
const char *nvmlErrorString(int code) { (void)code; return "an error of the stand-in"; }

int nvmlSystemGetDriverVersion(char *text, uint size) {
    if (!ready) return UNINITIALIZED;
    snprintf(text, size, "580.65.06");
    return OK;
}

int nvmlDeviceGetCount_v2(uint *count) {
    if (!ready) return UNINITIALIZED;
    read_machine();
    *count = gpu_count;
    return told(driver_fail, __func__);
}

int nvmlDeviceGetHandleByIndex_v2(uint index, Device **device) {
    if (!ready) return UNINITIALIZED;
    if ((int)index >= gpu_count) return INVALID;
    *device = &gpus[index];
    CHECK(*device);
    return OK;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, Device **device) {
    if (!ready) return UNINITIALIZED;
    for (int at = 0; at < gpu_count + instance_count; at++) {
        *device = at < gpu_count ? &gpus[at] : &instances[at - gpu_count];
        if (strcmp((*device)->uuid, uuid)) continue;
        CHECK(*device);
        return OK;
    }
    return NOT_FOUND;
}

int nvmlDeviceGetUUID(Device *device, char *text, uint size) {
    CHECK(device);
    snprintf(text, size, "%s", device->uuid);
    return OK;
}

int nvmlDeviceGetName(Device *device, char *text, uint size) {
    CHECK(device);
    snprintf(text, size, "%s", device->name);
    return OK;
}

static void fill_pci(Pci *pci, uint domain, uint bus, uint device) {
    memset(pci, 0, sizeof *pci);
    pci->domain = domain;
    pci->bus = bus;
    pci->device = device;
    snprintf(pci->bus_id, sizeof pci->bus_id, "%08X:%02X:%02X.0", domain, bus, device);
}

int nvmlDeviceGetPciInfo_v3(Device *device, Pci *pci) {
    CHECK(device);
    fill_pci(pci, device->domain, device->bus, device->device);
    return OK;
}

int nvmlDeviceGetMemoryInfo(Device *device, Memory *memory) {
    CHECK(device);
    memory->total = device->total;
    memory->used = device->used + device->reserved;
    memory->free = device->total - memory->used;
    return OK;
}

int nvmlDeviceGetUtilizationRates(Device *device, Rates *rates) {
    CHECK(device);
    if (device->is_mig) return NOT_SUPPORTED;
    rates->gpu = device->util;
    rates->memory = 0;
    return OK;
}

static int fill(const Process *from, int known, uint *count, Process *into) {
    uint room = *count;
    *count = known;
    if (known > (int)room) return TOO_SMALL;
    memcpy(into, from, known * sizeof *from);
    return OK;
}

int nvmlDeviceGetComputeRunningProcesses_v2(Device *device, uint *count, Process *into) {
    CHECK(device);
    return fill(device->compute, device->computes, count, into);
}

int nvmlDeviceGetGraphicsRunningProcesses_v2(Device *device, uint *count, Process *into) {
    CHECK(device);
    return fill(device->graphic, device->graphics, count, into);
}

#ifndef OLD_DRIVER
int nvmlDeviceGetComputeRunningProcesses_v3(Device *device, uint *count, Process *into) {
    CHECK(device);
    return fill(device->compute, device->computes, count, into);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(Device *device, uint *count, Process *into) {
    CHECK(device);
    return fill(device->graphic, device->graphics, count, into);
}

int nvmlDeviceGetMemoryInfo_v2(Device *device, Memory2 *memory) {
    CHECK(device);
    if (memory->version != (sizeof *memory | 2u << 24)) return INVALID;
    memory->total = device->total;
    memory->used = device->used;
    memory->reserved = device->reserved;
    memory->free = device->total - device->used - device->reserved;
    return OK;
}

int nvmlDeviceGetPowerUsage(Device *device, uint *milliwatts) {
    CHECK(device);
    if (device->is_mig) return NOT_SUPPORTED;
    *milliwatts = device->power;
    return OK;
}

int nvmlDeviceGetClockInfo(Device *device, int kind, uint *mhz) {
    CHECK(device);
    *mhz = kind == 1 ? 1200 : 2000;
    return OK;
}

int nvmlDeviceGetMaxClockInfo(Device *device, int kind, uint *mhz) {
    CHECK(device);
    *mhz = kind == 1 ? 1980 : 2600;
    return OK;
}

int nvmlDeviceGetEnforcedPowerLimit(Device *device, uint *milliwatts) {
    CHECK(device);
    *milliwatts = 700000;
    return OK;
}

int nvmlDeviceGetMigMode(Device *device, uint *now, uint *pending) {
    CHECK(device);
    *now = *pending = device->mig;
    return OK;
}

int nvmlDeviceGetMaxMigDeviceCount(Device *device, uint *count) {
    CHECK(device);
    *count = 7;
    return OK;
}

int nvmlDeviceGetMigDeviceHandleByIndex(Device *device, uint index, Device **instance) {
    CHECK(device);
    if ((int)index >= device->instances) return NOT_FOUND;
    *instance = device->instance[index];
    return OK;
}

int nvmlDeviceGetGpuInstanceId(Device *device, uint *id) {
    CHECK(device);
    *id = device->gi;
    return device->is_mig ? OK : INVALID;
}

int nvmlDeviceGetComputeInstanceId(Device *device, uint *id) {
    CHECK(device);
    *id = device->ci;
    return device->is_mig ? OK : INVALID;
}

int nvmlDeviceGetNvLinkState(Device *device, uint link, uint *active) {
    CHECK(device);
    if ((int)link >= device->links) return device->links ? INVALID : NOT_SUPPORTED;
    *active = device->link[link].on;
    return OK;
}

int nvmlDeviceGetNvLinkRemoteDeviceType(Device *device, uint link, uint *kind) {
    CHECK(device);
    *kind = device->link[link].is_switch ? 2 : 0;
    return OK;
}

int nvmlDeviceGetNvLinkRemotePciInfo_v2(Device *device, uint link, Pci *pci) {
    CHECK(device);
    fill_pci(pci, device->link[link].domain, device->link[link].bus, device->link[link].device);
    return OK;
}
#endif
