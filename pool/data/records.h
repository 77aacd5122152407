// Tables as the records of a job (PROTOCOL 3.2), with the sheet that says how they became so (6.7).
#pragma once

#include "pool/data/rows.h"
#include "pool/data/table.h"
#include "verifier/records/sheet.h"

namespace gemmine::pool {

// What a job file asks for.
struct Preparation {
  TableShape shape;
  FeatureScaling scaling = FeatureScaling::bytes;  // not by_shape
  bool missing = false;
  std::vector<std::string> classes;  // names, of class 0, 1, …; none: as the training rows have
};
struct Prepared {
  Bytes train;
  uint32_t train_records = 0;
  Bytes test;
  uint32_t test_records = 0;
  verifier::Sheet sheet;
  float feature_scale = 0;  // of scaling bytes both stay 0: the job file gives them
  float feature_shift = 0;
};

// Classes: where every label of the training rows is a whole number below their number, they are
// these numbers, without names. Else the different labels in their order, of numbers by size, of
// texts by their bytes, are class 0, 1, …; or `classes` names them, and a label may be such a name
// or, where none of them is a number, the number of its class. Both tables have labels.
// Errors: invalid (a feature that no scaling fits, a label of no class: with its place; more labels
// than classes).
Result<Prepared> prepare_rows(const RowTable& train, const RowTable& test, const Preparation& how);
// The same of features that are bytes, and of labels that are numbers; scaling bytes or whole.
Result<Prepared> prepare_bytes(Table train, Table test, const Preparation& how);

// A table of bytes as rows; `file` names it in messages.
RowTable rows_of(const Table& table, const TableShape& shape, const std::string& file);

// Records of rows by a sheet that is there already; the label of rows without labels is class 0.
// Errors: as above; invalid (a value that is missing, where the sheet refuses it).
Result<Bytes> records_of(const RowTable& rows, const verifier::Sheet& sheet,
                         const TableShape& shape);

// The rows that a fraction holds out of `rows`: all in all ⌊fraction × rows⌋.
class HeldOut {
 public:
  HeldOut(Fraction fraction, HeldOutRows which, uint64_t rows)
      : fraction_(fraction), which_(which), rows_(rows) {}
  bool has(uint64_t row) const {
    return which_ == HeldOutRows::end ? row >= rows_ - fraction_.of(rows_)
                                      : fraction_.of(row + 1) > fraction_.of(row);
  }
  uint64_t count() const { return fraction_.of(rows_); }

 private:
  Fraction fraction_;
  HeldOutRows which_;
  uint64_t rows_;
};

}  // namespace gemmine::pool
