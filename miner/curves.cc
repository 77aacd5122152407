#include "miner/curves.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "kernels/base/printable.h"

namespace gemmine::miner {
namespace {

constexpr double kWidth = 720;
constexpr double kHeight = 420;
constexpr double kLeft = 64;
constexpr double kRight = 64;
constexpr double kTop = 48;
constexpr double kBottom = 48;
constexpr int kTicksMax = 6;

template <class... Values>
std::string format(const char* text, Values... values) {
  char out[256];
  std::snprintf(out, sizeof out, text, values...);
  return out;
}

double accuracy(const RoundReport& round) {
  const auto& [correct, records, loss] = round.evaluation;
  return records == 0 ? 0 : static_cast<double>(correct) / static_cast<double>(records);
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : printable(text)) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else {
      out += c;
    }
  }
  return out;
}

// Round numbers from about `low` to about `high`.
struct Axis {
  double low = 0;
  double high = 1;
  double tick = 1;

  static Axis over(double least, double greatest) {
    if (!(greatest > least)) greatest = least + 1;
    const double raw = (greatest - least) / kTicksMax;
    const double power = std::pow(10, std::floor(std::log10(raw)));
    double tick = 10 * power;
    for (const double step : {1.0, 2.0, 5.0}) {
      if (step * power >= raw) {
        tick = step * power;
        break;
      }
    }
    return {std::floor(least / tick) * tick, std::ceil(greatest / tick) * tick, tick};
  }
  int ticks() const { return static_cast<int>(std::lround((high - low) / tick)); }
};

class Picture {
 public:
  Picture(const std::vector<RoundReport>& rounds, bool gpt) : rounds_(rounds), gpt_(gpt) {
    first_ = rounds.empty() ? 1 : rounds.front().round;
    last_ = std::max<uint32_t>(rounds.empty() ? 1 : rounds.back().round, first_ + 1);
    double least = 0;
    double greatest = 0;
    for (const RoundReport& round : rounds) {
      for (const double loss : {static_cast<double>(round.loss), round.evaluation.loss}) {
        if (std::isfinite(loss)) greatest = std::max(greatest, loss);
      }
    }
    if (gpt) {  // a language model's loss moves far above 0
      least = greatest;
      for (const RoundReport& round : rounds)
        least = std::min({least, static_cast<double>(round.loss), round.evaluation.loss});
    }
    loss_ = Axis::over(least, greatest);
  }

  std::string draw(const std::string& title) {
    out_ = format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" width=\"%g\" "
        "height=\"%g\" font-family=\"sans-serif\" font-size=\"12\">\n",
        kWidth, kHeight, kWidth, kHeight);
    out_ += format("<rect width=\"%g\" height=\"%g\" fill=\"#ffffff\"/>\n", kWidth, kHeight);
    text(kWidth / 2, 20, "middle", escaped(title));
    grid();
    line([](const RoundReport& r) { return static_cast<double>(r.loss); }, loss_, "#1f6fb4");
    line([](const RoundReport& r) { return r.evaluation.loss; }, loss_, "#d1531a");
    line([](const RoundReport& r) { return 100 * accuracy(r); }, kPercent, "#2c8a3d");
    legend(kLeft, "#1f6fb4", "training loss");
    legend(kLeft + 130, "#d1531a", gpt_ ? "validation loss" : "test loss");
    legend(kLeft + 260, "#2c8a3d", "accuracy in % (right)");
    return out_ + "</svg>\n";
  }

 private:
  static constexpr Axis kPercent{0, 100, 20};

  double x(uint32_t round) const {
    return kLeft + (kWidth - kLeft - kRight) * (round - first_) / (last_ - first_);
  }
  static double y(double value, const Axis& axis) {
    return kHeight - kBottom -
           (kHeight - kTop - kBottom) * (value - axis.low) / (axis.high - axis.low);
  }
  void text(double at_x, double at_y, const char* anchor, const std::string& words) {
    out_ += format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"#333333\">", at_x, at_y,
                   anchor) +
            words + "</text>\n";
  }
  void grid() {
    for (int i = 0; i <= loss_.ticks(); ++i) {
      const double value = loss_.low + i * loss_.tick;
      out_ += format(
          "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#dddddd\" stroke-width=\"1\" fill=\"none\"/>\n",
          kLeft, y(value, loss_), kWidth - kRight);
      text(kLeft - 8, y(value, loss_) + 4, "end", format("%.4g", value));
    }
    for (int i = 0; i <= kPercent.ticks(); ++i)
      text(kWidth - kRight + 8, y(20.0 * i, kPercent) + 4, "start", format("%d %%", 20 * i));
    const Axis rounds = Axis::over(first_, last_);
    for (int i = 0; i <= rounds.ticks(); ++i) {
      const double round = rounds.low + i * rounds.tick;
      if (round < first_ || round > last_ || round != std::floor(round)) continue;
      text(x(static_cast<uint32_t>(round)), kHeight - kBottom + 18, "middle",
           format("%.0f", round));
    }
    text(kWidth / 2, kHeight - 10, "middle", "round");
  }
  template <class Value>
  void line(const Value& value, const Axis& axis, const char* colour) {
    std::string points;
    for (const RoundReport& round : rounds_) {
      const double at = value(round);
      if (std::isfinite(at)) points += format("%.1f,%.1f ", x(round.round), y(at, axis));
    }
    out_ += format("<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", colour) +
            points + "\"/>\n";
    if (rounds_.size() > kDotsMax) return;
    for (const RoundReport& round : rounds_) {
      const double at = value(round);
      if (std::isfinite(at))
        out_ += format("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\" fill=\"%s\"/>\n", x(round.round),
                       y(at, axis), colour);
    }
  }
  void legend(double at_x, const char* colour, const char* words) {
    out_ +=
        format("<rect x=\"%.1f\" y=\"30\" width=\"12\" height=\"4\" fill=\"%s\"/>\n", at_x, colour);
    text(at_x + 18, 36, "start", words);
  }

  static constexpr size_t kDotsMax = 60;

  const std::vector<RoundReport>& rounds_;
  const bool gpt_;
  uint32_t first_ = 1;
  uint32_t last_ = 2;
  Axis loss_;
  std::string out_;
};

}  // namespace

std::string curves_csv(const std::vector<RoundReport>& rounds, bool gpt) {
  std::string out =
      "round,loss," + std::string(gpt ? "validation_loss" : "test_loss") + ",accuracy,seconds\n";
  for (const RoundReport& round : rounds)
    out += format("%u,%.9g,%.9g,%.6f,%.3f\n", round.round, static_cast<double>(round.loss),
                  round.evaluation.loss, accuracy(round), round.seconds);
  return out;
}

std::string curves_svg(const std::vector<RoundReport>& rounds, bool gpt, const std::string& title) {
  return Picture(rounds, gpt).draw(title);
}

}  // namespace gemmine::miner
