#include "pool/net/tls.h"

#include <fstream>
#include <random>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Feeds everything in `ciphertext`; appends what comes out.
Status feed(TlsStream* stream, ByteView ciphertext, Bytes* plaintext) {
  uint8_t out[1000];
  while (true) {
    const auto count = stream->read(&ciphertext, out);
    if (!count) return count.error();
    if (count.value() == 0) return Ok{};
    plaintext->insert(plaintext->end(), out, out + count.value());
  }
}

struct Pair {
  std::unique_ptr<TlsStream> client;
  std::unique_ptr<TlsStream> server;
  std::string client_error;
  std::string server_error;
  Bytes to_client;
  Bytes to_server;

  // Carries ciphertext both ways until both are silent.
  void exchange() {
    while (true) {
      const Bytes up = client->take_ciphertext();
      const Bytes down = server->take_ciphertext();
      if (up.empty() && down.empty()) return;
      if (!up.empty()) note(feed(server.get(), up, &to_server), &server_error);
      if (!down.empty()) note(feed(client.get(), down, &to_client), &client_error);
    }
  }
  static void note(const Status& status, std::string* error) {
    if (!status && error->empty()) *error = status.error().detail;
  }
};

class Tls : public testing::Test {
 protected:
  Tls() : identity_(load_or_make_identity(directory_.path())) {}
  void SetUp() override { ASSERT_TRUE(identity_) << identity_.error().detail; }
  const TlsIdentity& identity() { return identity_.value(); }
  std::string path() const { return directory_.path() + "/tls.pem"; }

  Pair pair(const std::optional<Digest>& pin, const std::string& host = "pool.example") {
    Pair out;
    out.server = std::move(TlsStream::server(TlsContext::server(identity()).value()).value());
    out.client = std::move(TlsStream::client(TlsContext::client(pin).value(), host).value());
    return out;
  }
  Pair open_pair() {
    Pair out = pair(identity().spki_pin());
    out.exchange();
    EXPECT_TRUE(out.client->open()) << out.client_error;
    EXPECT_TRUE(out.server->open()) << out.server_error;
    return out;
  }

  TempDirectory directory_;
  Result<TlsIdentity> identity_;
};

TEST_F(Tls, CarriesDataBothWaysAfterAPinnedHandshake) {
  Pair pair = open_pair();
  const Bytes large(3'000'000, 0x5a);
  ASSERT_TRUE(pair.client->write(large));
  ASSERT_TRUE(pair.server->write(as_bytes("hello")));
  pair.exchange();
  EXPECT_EQ(pair.to_server, large);
  EXPECT_EQ(pair.to_client.size(), 5u);
}

TEST_F(Tls, ExportsTheSameBindingAtBothEndsAndAnotherPerConnectionAndLabel) {
  const Pair first = open_pair();
  const Pair second = open_pair();
  const auto at_client = first.client->exporter("EXPORTER-test");
  ASSERT_TRUE(at_client);
  EXPECT_EQ(at_client.value(), first.server->exporter("EXPORTER-test").value());
  EXPECT_NE(at_client.value(), first.server->exporter("EXPORTER-other").value());
  EXPECT_NE(at_client.value(), second.client->exporter("EXPORTER-test").value());
  EXPECT_FALSE(pair(std::nullopt).client->exporter("EXPORTER-test"));
}

TEST_F(Tls, RefusesAWrongPinAndNamesBoth) {
  Digest wrong = identity().spki_pin();
  wrong.bytes[31] ^= 1;
  Pair tested = pair(wrong);
  tested.exchange();
  EXPECT_FALSE(tested.client->open());
  EXPECT_FALSE(tested.server->open());
  EXPECT_THAT(tested.client_error,
              AllOf(HasSubstr(pin_text(wrong)), HasSubstr(pin_text(identity().spki_pin()))));
  EXPECT_THAT(tested.server_error, HasSubstr("alert"));
}

TEST_F(Tls, RefusesASelfSignedServerWithoutPinAndTellsItsPin) {
  Pair tested = pair(std::nullopt);
  tested.exchange();
  EXPECT_FALSE(tested.client->open());
  EXPECT_THAT(tested.client_error,
              AllOf(HasSubstr("no pin is set"), HasSubstr(pin_text(identity().spki_pin()))));
}

TEST_F(Tls, ChecksTheHostNameWhenTheTrustStoreDecides) {
  ASSERT_EQ(::setenv("SSL_CERT_FILE", path().c_str(), 1), 0);
  for (const char* host : {"localhost", "127.0.0.1", "pool.example", "127.0.0.2"}) {
    Pair tested = pair(std::nullopt, host);
    tested.exchange();
    const bool ours =
        std::string_view(host) == "localhost" || std::string_view(host) == "127.0.0.1";
    EXPECT_EQ(tested.client->open(), ours) << host << ": " << tested.client_error;
    EXPECT_EQ(tested.server->open(), ours) << host;
  }
  ::unsetenv("SSL_CERT_FILE");
}

// What a client that is not ours says first.
Bytes foreign_hello(int version, bool with_alpn) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_max_proto_version(context, version);
  static const uint8_t kOther[] = {2, 'h', '2'};
  if (with_alpn) SSL_CTX_set_alpn_protos(context, kOther, sizeof kOther);
  SSL* ssl = SSL_new(context);
  SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_connect(ssl);
  char* data = nullptr;
  const long size = BIO_get_mem_data(SSL_get_wbio(ssl), &data);
  Bytes out(data, data + size);
  SSL_free(ssl);
  SSL_CTX_free(context);
  return out;
}

TEST_F(Tls, RefusesTls12AndForeignProtocols) {
  Bytes ignored;
  Pair old = pair(std::nullopt);
  const Status version = feed(old.server.get(), foreign_hello(TLS1_2_VERSION, false), &ignored);
  ASSERT_FALSE(version);
  EXPECT_THAT(version.error().detail, HasSubstr("unsupported protocol"));
  EXPECT_FALSE(old.server->take_ciphertext().empty()) << "an alert";
  Pair web = pair(std::nullopt);
  const Status alpn = feed(web.server.get(), foreign_hello(TLS1_3_VERSION, true), &ignored);
  ASSERT_FALSE(alpn);
  EXPECT_THAT(alpn.error().detail, HasSubstr("no application protocol"));
}

TEST_F(Tls, NeverAcceptsRecordsThatWereChanged) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 300; ++round) {
    Pair tested = pair(identity().spki_pin());
    TlsStream* victim = round % 2 == 0 ? tested.server.get() : tested.client.get();
    Bytes up = tested.client->take_ciphertext();
    if (round % 2 != 0) {
      static_cast<void>(feed(tested.server.get(), up, &tested.to_server));
      up = tested.server->take_ciphertext();
    }
    const size_t cut = random() % up.size();
    if (round % 3 == 0) up.resize(cut);
    for (int i = 0; i < 1 + round % 5 && !up.empty(); ++i) {
      up[random() % up.size()] ^= static_cast<uint8_t>(1u << (random() % 8));
    }
    static_cast<void>(feed(victim, up, &tested.to_server));
    tested.exchange();
    EXPECT_FALSE(tested.client->open() && tested.server->open()) << "round " << round;
  }
}

TEST_F(Tls, FailsForGoodWhenARecordOfAnOpenConnectionIsChanged) {
  Pair tested = open_pair();
  ASSERT_TRUE(tested.client->write(Bytes(100)));
  Bytes record = tested.client->take_ciphertext();
  record.back() ^= 1;
  EXPECT_FALSE(feed(tested.server.get(), record, &tested.to_server));
  EXPECT_TRUE(tested.to_server.empty());
  EXPECT_FALSE(tested.server->open());
  EXPECT_FALSE(feed(tested.server.get(), record, &tested.to_server));
  EXPECT_FALSE(tested.server->write(Bytes(1)));
}

TEST_F(Tls, SurvivesNoiseAsAFirstMessage) {
  std::mt19937_64 random(12);
  for (int round = 0; round < 300; ++round) {
    Pair tested = pair(identity().spki_pin());
    Bytes noise(random() % 2000);
    for (uint8_t& byte : noise)
      byte = static_cast<uint8_t>(random());
    if (round % 2 == 0 && noise.size() > 3) noise[0] = 0x16, noise[1] = 3, noise[2] = 1;
    static_cast<void>(feed(tested.server.get(), noise, &tested.to_server));
    static_cast<void>(feed(tested.client.get(), noise, &tested.to_client));
    EXPECT_FALSE(tested.server->open() || tested.client->open());
  }
}

TEST_F(Tls, BoundsTheBytesOfAHandshake) {
  Pair tested = pair(std::nullopt);
  // A ClientHello that announces 128 KiB in 8-byte records.
  const Bytes begin{0x16, 3, 1, 0, 4, 1, 2, 0, 0};
  const Bytes more{0x16, 3, 1, 0, 1, 0};
  Status status = feed(tested.server.get(), begin, &tested.to_server);
  size_t sent = begin.size();
  while (status && sent < 4 * kHandshakeBytesMax) {
    status = feed(tested.server.get(), more, &tested.to_server);
    sent += more.size();
  }
  EXPECT_FALSE(status);
  EXPECT_LE(sent, kHandshakeBytesMax + more.size());
}

TEST_F(Tls, ToldFarewellIsNotACut) {
  Pair tested = open_pair();
  ASSERT_TRUE(tested.client->write(as_bytes("last")));
  tested.client->shutdown();
  tested.exchange();
  EXPECT_EQ(tested.to_server.size(), 4u);
  EXPECT_TRUE(tested.server->ended());
  EXPECT_FALSE(tested.client->ended());
}

TEST_F(Tls, KeepsItsIdentityOverRestartsPrivately) {
  const auto again = load_or_make_identity(directory_.path());
  ASSERT_TRUE(again);
  EXPECT_EQ(again.value().spki_pin(), identity().spki_pin());
  struct stat info {};
  ASSERT_EQ(::stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  EXPECT_FALSE(std::filesystem::exists(path() + ".tmp"));
}

TEST_F(Tls, RefusesAnIdentityThatOthersMayReadOrThatIsDamaged) {
  ASSERT_EQ(::chmod(path().c_str(), 0640), 0);
  const auto open_to_all = load_or_make_identity(directory_.path());
  ASSERT_FALSE(open_to_all);
  EXPECT_THAT(open_to_all.error().detail, HasSubstr("chmod 600"));
  ASSERT_EQ(::chmod(path().c_str(), 0600), 0);
  std::ofstream(path()) << "nonsense";
  EXPECT_FALSE(load_or_make_identity(directory_.path()));
  EXPECT_EQ(load_or_make_identity("/no/such/place").error().code, Errc::io);
}

TEST(Pin, IsReadAsItIsWritten) {
  Digest pin;
  pin.bytes[3] = 7;
  EXPECT_EQ(parse_pin(pin_text(pin)).value(), pin);
  for (const char* text : {"", "sha256:", "sha256:12", "07", "sha1:00"})
    EXPECT_FALSE(parse_pin(text));
}

}  // namespace
}  // namespace gemmine::pool
