/* A camera that exists in one process only: preloaded, it answers what the kernel would, and as strictly.
 *
 * Everything under $SHIM/video0 is this camera: $SHIM/behaviour says what it does from now on, $SHIM/frame is what it
 * sees, $SHIM/kind what it is, and every call is written to $SHIM/log. Its buffers lie in a memfd, so that mapping them
 * is the kernel's own work. The layouts are those of the header that this is compiled against.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST 8
#define ROOM (8 * 1024 * 1024)

struct size { unsigned width, height, rate; };
struct format { unsigned fourcc; struct size sizes[6]; };
struct kind { const char *name, *driver, *card; unsigned caps; struct format formats[4]; };

static const struct kind kinds[] = {
    {"webcam", "uvcvideo", "HD Webcam", V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING, {
        {V4L2_PIX_FMT_H264, {{1920, 1080, 30}}},
        {V4L2_PIX_FMT_YUYV, {{640, 480, 30}, {1920, 1080, 5}, {2592, 1944, 2}}},
        {V4L2_PIX_FMT_MJPEG, {{640, 480, 30}, {1280, 720, 30}, {1920, 1080, 30}, {2592, 1944, 15}, {3840, 2160, 2}}}}},
    {"yuyv", "uvcvideo", "Dermatoscope", V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING, {
        {V4L2_PIX_FMT_YUYV, {{64, 48, 30}}}}},
    {"sensor", "unicam", "unicam", V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING, {
        {V4L2_PIX_FMT_SRGGB10P, {{4608, 2592, 14}}}}},
    {"isp", "bcm2835-isp", "bcm2835-isp", V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING, {
        {V4L2_PIX_FMT_YUYV, {{640, 480, 30}}}}},
    {"codec", "bcm2835-codec", "decoder", V4L2_CAP_VIDEO_M2M | V4L2_CAP_STREAMING, {
        {V4L2_PIX_FMT_YUYV, {{640, 480, 30}}}}},
};

static int device = -1, streaming, buffers, queue[MOST], waiting, sequence;
static struct v4l2_pix_format now;

static const char *shim(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("SHIM"), name);
    return path;
}

static size_t slurp(const char *name, void *into, size_t most)
{
    FILE *file = fopen(shim(name), "rb");
    size_t count = file ? fread(into, 1, most, file) : 0;
    if (file)
        fclose(file);
    return count;
}

static int does(const char *what)
{
    char said[64] = "";
    slurp("behaviour", said, sizeof said - 1);
    return strcmp(said, what) == 0;
}

static const struct kind *kind(void)
{
    char said[64] = "";
    slurp("kind", said, sizeof said - 1);
    for (size_t at = 0; at < sizeof kinds / sizeof *kinds; at++)
        if (!strcmp(kinds[at].name, said))
            return &kinds[at];
    abort();
}

static void note(const char *what)
{
    FILE *file = fopen(shim("log"), "a");
    fprintf(file, "%s\n", what);
    fclose(file);
}

static int refuse(int why)
{
    errno = why;
    return -1;
}

static int opened(const char *path)
{
    if (does("forbidden"))
        return refuse(EACCES);
    if (device >= 0)
        return refuse(EBUSY);
    note("open");
    streaming = buffers = waiting = sequence = 0;
    device = memfd_create("camera", MFD_CLOEXEC);
    if (ftruncate(device, (off_t)MOST * ROOM))
        abort();
    return device;
}

static int mine(const char *path) { return getenv("SHIM") && !strcmp(path, shim("video0")); }

#define OPEN(name)                                                                   \
    int name(const char *path, int flags, ...)                                       \
    {                                                                                \
        va_list more;                                                                \
        va_start(more, flags);                                                       \
        mode_t mode = va_arg(more, mode_t);                                          \
        va_end(more);                                                                \
        if (mine(path))                                                              \
            return opened(path);                                                     \
        return ((int (*)(const char *, int, mode_t))dlsym(RTLD_NEXT, #name))(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

int close(int fd)
{
    if (fd >= 0 && fd == device) {
        note("close");
        device = -1;
    }
    return ((int (*)(int))dlsym(RTLD_NEXT, "close"))(fd);
}

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    if (count != 1 || device < 0 || fds->fd != device)
        return ((int (*)(struct pollfd *, nfds_t, int))dlsym(RTLD_NEXT, "poll"))(fds, count, timeout);
    fds->revents = 0;
    if (does("unplugged") || !streaming || !waiting)
        fds->revents = POLLERR | POLLHUP;
    else if (does("silent"))
        usleep(timeout * 1000);
    else {
        usleep(5000);
        fds->revents = POLLIN;
    }
    return fds->revents != 0;
}

static int described(struct v4l2_fmtdesc *about)
{
    if (about->type != V4L2_BUF_TYPE_VIDEO_CAPTURE || about->index >= 4 || !kind()->formats[about->index].fourcc)
        return refuse(EINVAL);
    about->pixelformat = kind()->formats[about->index].fourcc;
    return 0;
}

static const struct size *sizes(unsigned fourcc)
{
    for (int at = 0; at < 4; at++)
        if (kind()->formats[at].fourcc == fourcc)
            return kind()->formats[at].sizes;
    return NULL;
}

static int sized(struct v4l2_frmsizeenum *about)
{
    const struct size *known = sizes(about->pixel_format);
    if (!known || about->index >= 6 || !known[about->index].width)
        return refuse(EINVAL);
    about->type = V4L2_FRMSIZE_TYPE_DISCRETE;
    about->discrete.width = known[about->index].width;
    about->discrete.height = known[about->index].height;
    return 0;
}

static int timed(struct v4l2_frmivalenum *about)
{
    const struct size *known = sizes(about->pixel_format);
    for (int at = 0; known && about->index == 0 && at < 6; at++)
        if (known[at].width == about->width && known[at].height == about->height) {
            about->type = V4L2_FRMIVAL_TYPE_DISCRETE;
            about->discrete = (struct v4l2_fract){1, known[at].rate};
            return 0;
        }
    return refuse(EINVAL);
}

static int formatted(struct v4l2_format *about)
{
    char line[64];
    if (about->type != V4L2_BUF_TYPE_VIDEO_CAPTURE || !sizes(about->fmt.pix.pixelformat))
        return refuse(EINVAL);
    if (does("busy"))
        return refuse(EBUSY);
    now = about->fmt.pix;
    now.field = V4L2_FIELD_NONE;
    now.sizeimage = ROOM;
    /* Lines may be longer than what is in them. */
    now.bytesperline = now.pixelformat == V4L2_PIX_FMT_YUYV ? 2 * now.width + 16 : 0;
    now.quantization = V4L2_QUANTIZATION_LIM_RANGE;
    about->fmt.pix = now;
    snprintf(line, sizeof line, "S_FMT %.4s %ux%u", (char *)&now.pixelformat, now.width, now.height);
    note(line);
    return 0;
}

static int usable(const struct v4l2_buffer *about)
{
    return about->type == V4L2_BUF_TYPE_VIDEO_CAPTURE && about->memory == V4L2_MEMORY_MMAP;
}

static int queued(struct v4l2_buffer *about)
{
    if (!usable(about) || (int)about->index >= buffers)
        return refuse(EINVAL);
    for (int at = 0; at < waiting; at++)
        if (queue[at] == (int)about->index)
            return refuse(EINVAL);
    queue[waiting++] = about->index;
    return 0;
}

static int dequeued(struct v4l2_buffer *about)
{
    static unsigned char frame[ROOM];
    static int ready;
    if (!usable(about) || !streaming || !waiting)
        return refuse(EINVAL);
    /* One picture each time that it was waited for. */
    ready = !ready;
    if (ready || does("silent"))
        return refuse(EAGAIN);
    size_t count = slurp("frame", frame, sizeof frame);
    about->index = queue[0];
    memmove(queue, queue + 1, --waiting * sizeof *queue);
    if (pwrite(device, frame, count, (off_t)about->index * ROOM) != (ssize_t)count)
        abort();
    about->bytesused = does("short") ? count / 2 : count;
    about->flags = does("damaged") ? V4L2_BUF_FLAG_ERROR : 0;
    about->sequence = sequence++;
    about->length = ROOM;
    about->m.offset = about->index * ROOM;
    return 0;
}

static int answer(unsigned long request, void *about)
{
    if (does("unplugged"))
        return refuse(ENODEV);
    switch (request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *caps = about;
        memset(caps, 0, sizeof *caps);
        strcpy((char *)caps->driver, kind()->driver);
        strcpy((char *)caps->card, kind()->card);
        caps->capabilities = kind()->caps | V4L2_CAP_DEVICE_CAPS;
        caps->device_caps = kind()->caps;
        return 0;
    }
    case VIDIOC_ENUMINPUT:
        if (!strcmp(kind()->name, "isp") || !strcmp(kind()->name, "codec"))
            return refuse(ENOTTY);
        ((struct v4l2_input *)about)->type = V4L2_INPUT_TYPE_CAMERA;
        return ((struct v4l2_input *)about)->index ? refuse(EINVAL) : 0;
    case VIDIOC_ENUM_FMT:
        return described(about);
    case VIDIOC_ENUM_FRAMESIZES:
        return sized(about);
    case VIDIOC_ENUM_FRAMEINTERVALS:
        return timed(about);
    case VIDIOC_S_FMT:
        return formatted(about);
    case VIDIOC_REQBUFS: {
        struct v4l2_requestbuffers *wanted = about;
        if (wanted->type != V4L2_BUF_TYPE_VIDEO_CAPTURE || wanted->memory != V4L2_MEMORY_MMAP || !now.width)
            return refuse(EINVAL);
        note("REQBUFS");
        buffers = wanted->count = wanted->count < MOST ? wanted->count : MOST;
        return 0;
    }
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *buffer = about;
        if (!usable(buffer) || (int)buffer->index >= buffers)
            return refuse(EINVAL);
        buffer->length = ROOM;
        buffer->m.offset = buffer->index * ROOM;
        return 0;
    }
    case VIDIOC_QBUF:
        return queued(about);
    case VIDIOC_DQBUF:
        return dequeued(about);
    case VIDIOC_STREAMON:
    case VIDIOC_STREAMOFF:
        if (*(int *)about != V4L2_BUF_TYPE_VIDEO_CAPTURE || !buffers)
            return refuse(EINVAL);
        streaming = request == VIDIOC_STREAMON;
        note(streaming ? "STREAMON" : "STREAMOFF");
        return 0;
    }
    return refuse(ENOTTY);
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list more;
    va_start(more, request);
    void *about = va_arg(more, void *);
    va_end(more);
    if (fd >= 0 && fd == device)
        return answer(request, about);
    return ((int (*)(int, unsigned long, void *))dlsym(RTLD_NEXT, "ioctl"))(fd, request, about);
}
