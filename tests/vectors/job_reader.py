"""Job bytes as the reference's jobs (PROTOCOL 6.1, 10.12): the reverse of Job.encode()."""
import gn1
import gpt
from ledger_reader import Reader, must
from records import GptJob, Job

POLICY = ("batch_leases:I first_batch:I threads:H thread_blocks:H replays_ppm:I first_audits:B "
          "now_ppm:I fail_ppm:I silent_free:I lease_ms:I answer_ms:I delta_max:b")
DATA = "train_address:d n_train:I test_address:d n_test:I"
REST = ("optimiser:B lr:f beta1:f beta2:f eps:f wd:f warmup:I batch:I steps_per_lease:I "
        f"steps_per_share:I slots:I rounds:I init_seed:Q data_seed:Q sr_seed:Q {POLICY} "
        "price_per_tmac:Q fee_ppm:I")
SHAPE = ("vocabulary:I width:I heads:I hidden:I blocks:B context:I norm:B activation:B tied:B "
         "token_bytes:B clip:f outer_lr:f outer_momentum:f")


def decode_job(data):
    reader = Reader(data)
    name = reader.text(64)
    must(reader.number("H") == 1, "numerics")
    architecture = reader.number("H")
    if architecture == 1:
        layers = reader.number("B")
        shape = dict(widths=tuple(reader.number("I") for _ in range(layers + 1)))
        fields = vars(reader.fields(
            f"{DATA} feature_scale:f feature_shift:f sheet_address:d {REST}"))
        job = Job(name=name, program=gn1, **shape, **fields)
    else:
        must(architecture == 2, "architecture")
        fields = vars(reader.fields(f"{SHAPE} {DATA} {REST}"))
        job = GptJob(name=name, program=gpt, **fields)
    reader.end()
    must(job.encode() == data, "a number that does not come back")
    return job
