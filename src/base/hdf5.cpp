#include "base/hdf5.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/hdf5_check.hpp"

namespace llmpq::h5 {
namespace {

/// What the library's error stack says, outermost call first.
struct ErrorStack {
  std::string sentence;
  std::string system;  ///< why the operating system refused, if that is the cause
};

/// The system's own words in the description of a failed call to it, which has its arguments too.
std::string system_error(const std::string& description) {
  constexpr std::string_view kMark = "error message = '";
  const size_t begin = description.find(kMark);
  if (begin == std::string::npos) return "";
  const std::string rest = description.substr(begin + kMark.size());
  return rest.substr(0, rest.find('\''));
}

herr_t add_description(unsigned, const H5E_error2_t* error, void* stack) {
  auto& [sentence, system] = *static_cast<ErrorStack*>(stack);
  const std::string description = error->desc != nullptr ? error->desc : "";
  if (const std::string words = system_error(description); !words.empty()) system = words;
  if (description.empty() || sentence.find(description) != std::string::npos) return 0;
  if (sentence.size() < 300) sentence += (sentence.empty() ? "" : ": ") + description;
  return 0;
}

std::string way_out(const ErrorStack& stack) {
  if (stack.sentence.find("unable to lock") != std::string::npos)
    return "; close the program that writes it, or, where the file system has no locks, set "
           "HDF5_USE_FILE_LOCKING=FALSE in the environment";
  if (stack.system == std::strerror(ENOSPC) || stack.system == std::strerror(EDQUOT))
    return "; make room there and start again (generate with --resume: finished rows are safe)";
  return "";
}

Handle latest_format(const Place& place) {
  Handle list(CHECK_H5(place, H5Pcreate(H5P_FILE_ACCESS)));
  CHECK_H5(place, H5Pset_libver_bounds(list.get(), H5F_LIBVER_LATEST, H5F_LIBVER_LATEST));
  return list;
}

Handle variable_text(const Place& place) {
  Handle type(CHECK_H5(place, H5Tcopy(H5T_C_S1)));
  CHECK_H5(place, H5Tset_size(type.get(), H5T_VARIABLE));
  CHECK_H5(place, H5Tset_cset(type.get(), H5T_CSET_UTF8));
  return type;
}

herr_t collect_name(hid_t, const char* name, const H5L_info_t*, void* names) {
  static_cast<std::vector<std::string>*>(names)->emplace_back(name);
  return 0;
}

}  // namespace

void silence_errors() {
  thread_local const herr_t silenced = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  (void)silenced;
}

void fail_h5(const Place& place, const char* call) {
  ErrorStack stack;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, add_description, &stack);
  H5Eclear2(H5E_DEFAULT);
  const std::string name(call);
  const std::string& words = stack.system.empty() ? stack.sentence : stack.system;
  fail(place.code, "{}: {} failed: {}{}", place.name, name.substr(0, name.find('(')),
       words.empty() ? "no reason given" : words, way_out(stack));
}

Handle::~Handle() {
  if (id_ < 0) return;
  silence_errors();
  H5Idec_ref(id_);
}

Handle::Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)) {}

Handle& Handle::operator=(Handle&& other) noexcept {
  std::swap(id_, other.id_);
  return *this;
}

Place Group::place_of(const std::string& name) const {
  const bool at_root = place_.name.find(":/") == std::string::npos;
  return {place_.name + (at_root ? ":/" : "/") + name, place_.code};
}

bool Group::has(const std::string& name) const {
  if (CHECK_H5(place_, H5Lexists(handle_.get(), name.c_str(), H5P_DEFAULT)) == 0) return false;
  // A link may lead nowhere.
  return CHECK_H5(place_, H5Oexists_by_name(handle_.get(), name.c_str(), H5P_DEFAULT)) > 0;
}

bool Group::is_dataset(const std::string& name) const {
  if (!has(name)) return false;
  const Place place = place_of(name);
  const Handle object(CHECK_H5(place, H5Oopen(handle_.get(), name.c_str(), H5P_DEFAULT)));
  return H5Iget_type(object.get()) == H5I_DATASET;
}

std::vector<std::string> Group::names() const {
  std::vector<std::string> names;
  hsize_t from = 0;
  CHECK_H5(place_,
           H5Literate(handle_.get(), H5_INDEX_NAME, H5_ITER_INC, &from, collect_name, &names));
  return names;
}

Dataset Group::dataset(const std::string& name) const {
  const Place place = place_of(name);
  return {Handle(CHECK_H5(place, H5Dopen2(handle_.get(), name.c_str(), H5P_DEFAULT))), place};
}

Group Group::group(const std::string& name) const {
  const Place place = place_of(name);
  return {Handle(CHECK_H5(place, H5Gopen2(handle_.get(), name.c_str(), H5P_DEFAULT))), place};
}

Group Group::create_group(const std::string& name) {
  const Place place = place_of(name);
  return {Handle(CHECK_H5(place, H5Gcreate2(handle_.get(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT,
                                            H5P_DEFAULT))),
          place};
}

bool Group::has_attribute(const std::string& name) const {
  return CHECK_H5(place_, H5Aexists(handle_.get(), name.c_str())) > 0;
}

std::string Group::text_attribute(const std::string& name) const {
  const Place place = place_of("@" + name);
  const Handle attribute(CHECK_H5(place, H5Aopen(handle_.get(), name.c_str(), H5P_DEFAULT)));
  const Handle type(CHECK_H5(place, H5Aget_type(attribute.get())));
  CHECK(H5Tget_class(type.get()) == H5T_STRING, place.code, "{}: want a string", place.name);
  const Handle space(CHECK_H5(place, H5Aget_space(attribute.get())));
  CHECK(H5Sget_simple_extent_npoints(space.get()) == 1, place.code, "{}: want one string",
        place.name);
  if (CHECK_H5(place, H5Tis_variable_str(type.get())) == 0) {
    std::string text(H5Tget_size(type.get()), '\0');
    CHECK_H5(place, H5Aread(attribute.get(), type.get(), text.data()));
    return text.substr(0, text.find('\0'));
  }
  char* data = nullptr;
  CHECK_H5(place, H5Aread(attribute.get(), type.get(), &data));
  std::string text = data != nullptr ? data : "";
  H5free_memory(data);
  return text;
}

int64_t Group::integer_attribute(const std::string& name) const {
  const Place place = place_of("@" + name);
  const Handle attribute(CHECK_H5(place, H5Aopen(handle_.get(), name.c_str(), H5P_DEFAULT)));
  const Handle type(CHECK_H5(place, H5Aget_type(attribute.get())));
  const Handle space(CHECK_H5(place, H5Aget_space(attribute.get())));
  CHECK(H5Tget_class(type.get()) == H5T_INTEGER && H5Sget_simple_extent_npoints(space.get()) == 1,
        place.code, "{}: want one integer", place.name);
  int64_t value = 0;
  CHECK_H5(place, H5Aread(attribute.get(), H5T_NATIVE_INT64, &value));
  return value;
}

void Group::set_attribute(const std::string& name, const std::string& text) {
  const Place place = place_of("@" + name);
  if (has_attribute(name)) CHECK_H5(place, H5Adelete(handle_.get(), name.c_str()));
  const Handle type = variable_text(place);
  const Handle space(CHECK_H5(place, H5Screate(H5S_SCALAR)));
  const Handle attribute(CHECK_H5(place, H5Acreate2(handle_.get(), name.c_str(), type.get(),
                                                    space.get(), H5P_DEFAULT, H5P_DEFAULT)));
  const char* const data = text.c_str();
  CHECK_H5(place, H5Awrite(attribute.get(), type.get(), &data));
}

void Group::set_attribute(const std::string& name, int64_t value) {
  const Place place = place_of("@" + name);
  if (has_attribute(name)) CHECK_H5(place, H5Adelete(handle_.get(), name.c_str()));
  const Handle space(CHECK_H5(place, H5Screate(H5S_SCALAR)));
  const Handle attribute(CHECK_H5(place, H5Acreate2(handle_.get(), name.c_str(), H5T_STD_I64LE,
                                                    space.get(), H5P_DEFAULT, H5P_DEFAULT)));
  CHECK_H5(place, H5Awrite(attribute.get(), H5T_NATIVE_INT64, &value));
}

File File::open(const std::filesystem::path& path, Mode mode, Exit code) {
  const Place place{path.string(), code};
  CHECK(::access(path.c_str(), mode == Mode::kWrite ? R_OK | W_OK : R_OK) == 0, code,
        "{}: cannot be opened: {}", place.name, std::strerror(errno));
  CHECK(is_hdf5(path), code, "{}: not an HDF5 file", place.name);
  const Handle list = latest_format(place);
  const unsigned flags = mode == Mode::kWrite  ? H5F_ACC_RDWR
                         : mode == Mode::kLive ? H5F_ACC_RDONLY | H5F_ACC_SWMR_READ
                                               : H5F_ACC_RDONLY;
  return {Handle(CHECK_H5(place, H5Fopen(path.c_str(), flags, list.get()))), place};
}

File File::create(const std::filesystem::path& path, bool live, Exit code) {
  const Place place{path.string(), code};
  const Handle latest = live ? latest_format(place) : Handle();
  const hid_t list = live ? latest.get() : hid_t{H5P_DEFAULT};
  return {Handle(CHECK_H5(place, H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, list))),
          place};
}

void File::recover(const std::filesystem::path& path, Exit code) {
  const Place place{path.string(), code};
  CHECK(is_hdf5(path), code, "{}: not an HDF5 file", place.name);
  // What `h5clear -s --increment=0` does, without the tool: a killed writer leaves its mark and an
  // end of file that is behind what it flushed.
  const Handle list = latest_format(place);
  hbool_t yes = 1;
  CHECK_H5(place, H5Pset(list.get(), "clear_status_flags", &yes));
  CHECK_H5(place, H5Pset(list.get(), "skip_eof_check", &yes));
  const Handle file(CHECK_H5(place, H5Fopen(path.c_str(), H5F_ACC_RDWR, list.get())));
  CHECK_H5(place, H5Fincrement_filesize(file.get(), 0));
  CHECK_H5(place, H5Fflush(file.get(), H5F_SCOPE_GLOBAL));
}

void File::start_live_writing() { CHECK_H5(place_, H5Fstart_swmr_write(handle_.get())); }

void File::flush() { CHECK_H5(place_, H5Fflush(handle_.get(), H5F_SCOPE_GLOBAL)); }

void File::sync() {
  flush();
  CHECK(::fsync(descriptor()) == 0 || errno == EINVAL, place_.code, "{}: cannot sync: {}",
        place_.name, std::strerror(errno));
}

int File::descriptor() const {
  void* descriptor = nullptr;
  CHECK_H5(place_, H5Fget_vfd_handle(handle_.get(), H5P_DEFAULT, &descriptor));
  return *static_cast<int*>(descriptor);
}

bool File::is_removed_from(const std::filesystem::path& path) const {
  // Not by inodes: some file systems change them.
  struct stat open_one {
  }, named{};
  const bool has_name = ::fstat(descriptor(), &open_one) != 0 || open_one.st_nlink > 0;
  return !has_name || (::stat(path.c_str(), &named) != 0 && errno == ENOENT);
}

bool is_hdf5(const std::filesystem::path& path) {
  silence_errors();
  return H5Fis_hdf5(path.c_str()) > 0;
}

void dont_close_at_exit() { H5dont_atexit(); }

}  // namespace llmpq::h5
