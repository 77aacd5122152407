#include "miner/bench/report.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "kernels/base/json.h"

namespace gemmine::miner {

namespace {

[[gnu::format(printf, 1, 2)]] std::string text(const char* format, ...) {
  char out[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(out, sizeof out, format, arguments);
  va_end(arguments);
  return out;
}

// 1234567 as 1,234,567.
std::string grouped(double value) {
  const std::string digits = text("%.0f", value);
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

const char* word(ShareRule rule) {
  switch (rule) {
    case ShareRule::target:
      return "target";
    case ShareRule::largest:
      return "largest";
    case ShareRule::fewest:
      return "fewest";
    case ShareRule::job:
      return "job";
  }
  return "?";
}

double gmac_s(const BenchReport& report, const DeviceResult& result) {
  return static_cast<double>(report.macs_per_step) / result.speed.step_ms * 1e-6;
}

double products_ms(const DeviceSpeed& speed) {
  double ms = 0;
  for (const ProductSpeed& timed : speed.products)
    ms += timed.ms;
  return ms;
}

Json product_json(const ProductSpeed& timed) {
  const kernels::StepProduct& product = timed.product;
  return {{"product", kernels::to_text(product.kind)},
          {"m", product.m},
          {"n", product.n},
          {"k", product.k},
          {"heads", uint64_t{product.heads} * product.sequences},
          {"times", product.times},
          {"gmac_s", timed.gmac_s},
          {"ms", timed.ms}};
}

Json device_json(const BenchReport& report, const DeviceResult& result) {
  Json out = {{"device", result.device}, {"description", result.description}};
  if (!result.refusal.empty()) {
    out["not_measured"] = result.refusal;
    return out;
  }
  const DeviceSpeed& speed = result.speed;
  const Earnings& earned = result.earnings;
  out["products"] = Json::array();
  for (const ProductSpeed& timed : speed.products)
    out["products"].push_back(product_json(timed));
  out["products_ms"] = products_ms(speed);
  if (!speed.products_refusal.empty()) out["products_not_measured"] = speed.products_refusal;
  out["steps"] = speed.steps;
  out["step_ms"] = speed.step_ms;
  out["alone_ms"] = speed.alone_ms;
  out["proof_ratio"] = speed.proof_ratio;
  out["proof_percent"] = 100 * (speed.proof_ratio - 1);
  out["gmac_s"] = gmac_s(report, result);
  out["share"] = {{"steps", earned.share_steps},
                  {"seconds", earned.share_seconds},
                  {"rule", word(earned.rule)}};
  out["per_day"] = {{"shares", earned.shares_per_day},
                    {"tmac", earned.tmacs_per_day},
                    {"units", earned.units_per_day},
                    {"units_after_fee", earned.paid_per_day}};
  out["digest"] = to_hex(speed.digest.bytes);
  out["digest_steps"] = std::min(kDigestSteps, report.job.spec.steps_per_lease);
  return out;
}

std::string products_text(const DeviceSpeed& speed) {
  if (!speed.products_refusal.empty())
    return std::string("  ").append(speed.products_refusal) + "\n";
  std::string out = text("  %-18s  %6s %6s %6s  %5s  %6s  %9s  %8s\n", "product", "m", "n", "k",
                         "heads", "/ step", "GMAC/s", "ms");
  for (const ProductSpeed& timed : speed.products) {
    const kernels::StepProduct& product = timed.product;
    const std::string heads =
        product.is_attention() ? std::to_string(uint64_t{product.heads} * product.sequences) : "";
    out += text("  %-18s  %6u %6u %6u  %5s  %6u  %9.1f  %8.3f\n",
                std::string(kernels::to_text(product.kind)).c_str(), product.m, product.n,
                product.k, heads.c_str(), product.times, timed.gmac_s, timed.ms);
  }
  out += text("  %-66s  %8.3f\n", "all of a step", products_ms(speed));
  const bool attends = std::ranges::any_of(
      speed.products, [](const ProductSpeed& timed) { return timed.product.is_attention(); });
  if (attends)
    out += "  (of attention m, n and k are one head's, and only pairs of its causal half count)\n";
  return out;
}

std::string share_text(const BenchReport& report, const Earnings& earned) {
  std::string out =
      text("  share     %u steps in %.2f s: ", earned.share_steps, earned.share_seconds);
  switch (earned.rule) {
    case ShareRule::target:
      out += text("the pool wants a share to take %u s", report.share_seconds);
      break;
    case ShareRule::largest:
      out +=
          text("the largest of this job's leases; the pool would like %u s", report.share_seconds);
      break;
    case ShareRule::fewest:
      out += text("a lease may not be cut smaller; the pool would like %u s", report.share_seconds);
      break;
    case ShareRule::job:
      out += "the job's own size, as the pool does not choose by device";
      break;
  }
  if (earned.rule != ShareRule::job)
    out += text("\n            (a new key begins with the job's %u steps)",
                report.job.steps_per_share);
  return out + "\n";
}

std::string device_text(const BenchReport& report, const DeviceResult& result) {
  std::string out("\n");
  out += result.device;
  if (!result.description.empty()) out.append(": ").append(result.description);
  if (!result.refusal.empty()) return out.append("\n  not measured: ") + result.refusal + "\n";
  const DeviceSpeed& speed = result.speed;
  const Earnings& earned = result.earnings;
  out.append("\n").append(products_text(speed));
  out += text("  step      %.3f ms with its proof, %.3f ms without: the proof costs %.1f %%\n",
              speed.step_ms, speed.alone_ms, 100 * (speed.proof_ratio - 1));
  out += text("            %.1f GMAC/s; medians of %zu steps that took turns\n",
              gmac_s(report, result), speed.steps);
  out += share_text(report, earned);
  out += text("  per day   %s shares, %s TMAC\n", grouped(earned.shares_per_day).c_str(),
              grouped(earned.tmacs_per_day).c_str());
  out += text("            %s token units", grouped(earned.units_per_day).c_str());
  if (report.job.fee_ppm > 0)
    out += text(", %s of them yours after the pool's fee of %g %%",
                grouped(earned.paid_per_day).c_str(), report.job.fee_ppm * 1e-4);
  out += "\n";
  out += "            if it computes all day and every share is right\n";
  out += text("  digest    %s\n", to_hex(speed.digest.bytes).c_str());
  out += text("            of the first %u steps: every machine must print this one for this job\n",
              std::min(kDigestSteps, report.job.spec.steps_per_lease));
  return out;
}

}  // namespace

std::string describe_model(const kernels::Spec& spec) {
  if (spec.architecture == kernels::Architecture::gpt) {
    const kernels::GptShape& gpt = spec.gpt;
    return text("language model of %u blocks, width %u, %u heads, hidden %u, vocabulary %u, ",
                gpt.blocks, gpt.width, gpt.heads, gpt.hidden, gpt.vocabulary) +
           text("batch of %u x %u tokens", spec.batch, gpt.context);
  }
  std::string out("network of widths ");
  for (size_t i = 0; i < spec.widths.size(); ++i)
    out.append(i == 0 ? "" : "-").append(std::to_string(spec.widths[i]));
  return out.append(", batch of ").append(std::to_string(spec.batch));
}

std::string bench_json(const BenchReport& report) {
  Json out = {{"job",
               {{"name", report.job.name},
                {"model", report.model},
                {"macs_per_step", report.macs_per_step},
                {"steps_per_lease", report.job.spec.steps_per_lease},
                {"steps_per_share", report.job.steps_per_share},
                {"price_per_tmac", report.job.price_per_tmac},
                {"fee_ppm", report.job.fee_ppm},
                {"fee_percent", report.job.fee_ppm * 1e-4}}},
              {"share_seconds", report.share_seconds},
              {"devices", Json::array()}};
  for (const DeviceResult& result : report.devices)
    out["devices"].push_back(device_json(report, result));
  return out.dump();
}

std::string bench_text(const BenchReport& report) {
  std::string out = text("job %s: %s\n", report.job.name.c_str(), report.model.c_str());
  out += text("  %s multiply-accumulates (MAC) a step; GMAC and TMAC are 10^9 and 10^12 of them\n",
              grouped(static_cast<double>(report.macs_per_step)).c_str());
  out += text("  it pays %s token units a TMAC\n",
              grouped(static_cast<double>(report.job.price_per_tmac)).c_str());
  for (const DeviceResult& result : report.devices)
    out += device_text(report, result);
  return out;
}

}  // namespace gemmine::miner
