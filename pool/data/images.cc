#include "pool/data/images.h"

#include <algorithm>
#include <filesystem>

#include "kernels/base/files.h"
#include "kernels/base/printable.h"
#include "pool/data/memory.h"

namespace gemmine::pool {
namespace {

namespace fs = std::filesystem;

// What is in a folder, by the order of their bytes: folders, or files.
Result<std::vector<std::string>> names_in(const std::string& folder, bool folders) {
  std::error_code error;
  fs::directory_iterator at(folder, error);
  std::vector<std::string> out;
  for (; !error && at != fs::directory_iterator(); at.increment(error)) {
    const std::string name = at->path().filename();
    std::error_code unknown;
    if (name.starts_with('.') || at->is_directory(unknown) != folders) continue;
    out.push_back(name);
  }
  if (error) return Error{Errc::io, printable(folder) + ": cannot list it: " + error.message()};
  std::ranges::sort(out);
  return out;
}

Result<std::vector<std::string>> class_folders(const std::string& folder, const TableShape& shape,
                                               const std::vector<std::string>& classes) {
  auto out = names_in(folder, true);
  if (!out) return out;
  const std::string name = printable(folder);
  if (out.value().empty())
    return Error{Errc::invalid, name +
                                    ": has no folders; images lie in one for each class, as in "
                                    "cat/1.png and dog/2.png"};
  if (out.value().size() > shape.classes)
    return Error{Errc::invalid, name + ": has " + std::to_string(out.value().size()) +
                                    " folders; model.widths ends with " +
                                    std::to_string(shape.classes) + " classes"};
  for (const std::string& found : out.value())
    if (!classes.empty() && std::ranges::find(classes, found) == classes.end())
      return Error{Errc::invalid, name + "/" + printable(found) +
                                      ": is the folder of no class of the training images"};
  return classes.empty() ? out : Result(classes);
}

// Adds the image, and how many of its kind came before decides nothing: all have one size.
Status add_image(const std::string& path, uint32_t label, const TableShape& shape, Pixels& first,
                 Table& out) {
  const std::string name = printable(path);
  const auto file = read_file(path, kImageFileBytesMax);
  if (!file) return file.error();
  auto image = decode_png(file.value(), name);
  if (!image) return image.error();
  const Pixels& pixels = image.value();
  const auto size = [](const Pixels& of) {
    return std::to_string(of.width) + " x " + std::to_string(of.height) + " in " +
           (of.channels == 1 ? "grey" : "colour");
  };
  if (out.count == 0) {
    first = {pixels.width, pixels.height, pixels.channels, {}};
    if (pixels.bytes.size() != shape.features)
      return Error{Errc::invalid, name + ": is " + size(pixels) + ", which is " +
                                      std::to_string(pixels.bytes.size()) +
                                      " values; model.widths starts with " +
                                      std::to_string(shape.features)};
  } else if (pixels.width != first.width || pixels.height != first.height ||
             pixels.channels != first.channels) {
    return Error{Errc::invalid, name + ": is " + size(pixels) + ", and the first image is " +
                                    size(first) +
                                    "; make them equal with `mogrify -resize` or "
                                    "`mogrify -colorspace gray`"};
  }
  if (out.count == kernels::kRecordsMax) return Error{Errc::invalid, name + ": too many images"};
  out.records.insert(out.records.end(), pixels.bytes.begin(), pixels.bytes.end());
  put_label(label, shape, out.records);
  ++out.count;
  return Ok{};
}

}  // namespace

Result<ImageTable> load_images(const std::string& folder, const TableShape& shape,
                               const std::vector<std::string>& classes) {
  return within_memory(printable(folder), [&]() -> Result<ImageTable> {
    auto folders = class_folders(folder, shape, classes);
    if (!folders) return folders.error();
    ImageTable out{.table = {}, .classes = std::move(folders.value())};
    Pixels first;
    for (uint32_t label = 0; label < out.classes.size(); ++label) {
      const std::string of_class = folder + "/" + out.classes[label];
      const auto files = names_in(of_class, false);
      if (!files) return files.error();
      for (const std::string& file : files.value()) {
        const std::string path = of_class + "/" + file;
        if (auto added = add_image(path, label, shape, first, out.table); !added)
          return added.error();
      }
    }
    if (out.table.count == 0)
      return Error{Errc::invalid, printable(folder) + ": its folders have no images"};
    return out;
  });
}

Result<Table> load_unlabelled_images(const std::string& path, const TableShape& shape,
                                     std::vector<std::string>& names) {
  return within_memory(printable(path), [&]() -> Result<Table> {
    std::error_code ignored;
    std::string folder;
    names = {path};
    if (fs::is_directory(path, ignored)) {
      auto found = names_in(path, false);
      if (!found) return found.error();
      names = std::move(found.value());
      folder = path + "/";
    }
    if (names.empty()) return Error{Errc::invalid, printable(path) + ": has no images"};
    Table out;
    Pixels first;
    for (const std::string& name : names)
      if (auto added = add_image(folder + name, 0, shape, first, out); !added) return added.error();
    return out;
  });
}

}  // namespace gemmine::pool
