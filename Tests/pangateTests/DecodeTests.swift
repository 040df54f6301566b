import Foundation
import Radio
import Testing
import Wire

@Suite("pangate decode")
struct DecodeTests {
  private static let home = "Captures/home.pcap"

  private func lines(_ text: String) -> [String] { text.split(separator: "\n").map(String.init) }

  /// The objects of `--json`, by frame number.
  private func objects(_ text: String) throws -> [Int: [String: Any]] {
    var objects: [Int: [String: Any]] = [:]
    for line in lines(text) {
      let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
      objects[try #require(object["number"] as? Int)] = object
    }
    return objects
  }

  private func temporaryFile(_ bytes: [UInt8] = []) throws -> String {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent(
      "pangate-\(UUID().uuidString).pcap"
    ).path
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    return path
  }

  private func bytes(_ file: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: Executable.root.appendingPathComponent(file)))
  }

  @Test("The 10,000 frames of the corpus give the packets that the two kernels had sent, in order")
  func corpus() throws {
    let corpus = "Captures/corpus/linux-6lowpan-10k"
    let unpacked = try Executable.run(
      URL(fileURLWithPath: "/usr/bin/env"), ["gzip", "-dc", "\(corpus).ipv6.hex.gz"])
    try #require(unpacked.status == 0)
    let result = try Executable.run(
      ["decode", "\(corpus).pcap", "--context", "1=fd00:1::/64", "--format", "ipv6-hex"])
    let wanted = lines(unpacked.stdout)
    let got = lines(result.stdout)
    #expect(got.count == wanted.count)
    let difference = zip(got, wanted).enumerated().first { $0.element.0 != $0.element.1 }
    #expect(difference == nil, "first at line \((difference?.offset ?? 0) + 1)")
    #expect(result.stderr.contains("10000 frames, \(wanted.count) IPv6 packets"))
  }

  @Test(
    "Every broken frame of the home's recording is dropped for the reason that was written down beforehand")
  func brokenFrames() throws {
    struct Expected: Decodable {
      struct Broken: Decodable {
        var frame: Int
        var reason: String
      }
      var frames: Int
      var brokenFrames: [Broken]
    }
    let expected = try JSONDecoder().decode(
      Expected.self, from: Data(try bytes("Captures/home.expected.json")))
    let result = try Executable.run(["decode", Self.home, "--json"])
    #expect(result.status == 1)
    let objects = try objects(result.stdout)
    #expect(objects.count == expected.frames)
    var drops: [Int: String] = [:]
    for (number, object) in objects {
      // The stand-in gateway answers some broken requests with broken answers.
      let source = (object["mac"] as? [String: Any])?["source"] as? String
      if source == "0x0001" || source == "02:70:61:6e:67:00:00:01" { continue }
      drops[number] = (object["drop"] as? [String: Any])?["reason"] as? String
    }
    for broken in expected.brokenFrames {
      #expect(drops[broken.frame] == broken.reason, "frame \(broken.frame)")
    }
    #expect(Set(drops.keys) == Set(expected.brokenFrames.map(\.frame)))
  }

  @Test("The table has one line for each frame, in order, and the reasons of drops")
  func table() throws {
    let result = try Executable.run(["decode", Self.home])
    #expect(result.status == 1)
    let lines = lines(result.stdout)
    #expect(lines.count == 280)
    for (index, line) in lines.dropFirst().enumerated() {
      #expect(line.split(separator: " ").first == "\(index + 1)")
      #expect(!line.unicodeScalars.contains { $0.value < 0x20 || $0.value > 0x7e })
    }
    #expect(lines[252].contains("dropped: coapTokenLengthReserved"))
    #expect(lines.contains { $0.contains("IPHC") && $0.contains("ICMPv6 router-advertisement") })
    #expect(lines.contains { $0.contains("CON POST /e") })
    #expect(lines.contains { $0.contains("GET /e?done=1") })
    #expect(lines.contains { $0.contains("FRAG1") && $0.contains(" of ") })
    #expect(result.stderr.contains("Captures/home.pcap: 279 frames, "))
    #expect(result.stderr.contains("1  udpChecksumMismatch"))
  }

  @Test("JSON has the fields of every layer")
  func json() throws {
    let result = try Executable.run(["decode", "Captures/riot-udp_nhc_ipv6frag.pcap", "--format", "json"])
    let object = try #require(try objects(result.stdout)[7])
    let mac = try #require(object["mac"] as? [String: Any])
    #expect(mac["type"] as? String == "data")
    #expect(mac["source"] as? String == "02:12:4b:00:00:00:00:03")
    #expect(mac["destination"] as? String == "02:12:4b:00:00:00:00:04")
    #expect((object["lowpan"] as? [String: Any])?["form"] as? String == "IPHC")
    let ipv6 = try #require(object["ipv6"] as? [String: Any])
    #expect(ipv6["source"] as? String == "fe80::12:4b00:0:3")
    #expect(ipv6["hopLimit"] as? Int == 64)
    let udp = try #require(object["udp"] as? [String: Any])
    #expect(udp["sourcePort"] as? Int == 61616)
    #expect(udp["payload"] as? String == "5201107be59ab3636c69057374617473")
  }

  @Test("The pcap output holds the packets of the hexadecimal output, with their times, as raw IP")
  func pcap() throws {
    let path = try temporaryFile()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let hex = try Executable.run(["decode", Self.home, "--format", "ipv6-hex"])
    let result = try Executable.run(["decode", Self.home, "--format", "pcap", "-o", path])
    #expect(result.status == 1)
    #expect(result.stdout.isEmpty)
    var reader = try CaptureReader(path: path)
    #expect(reader.linkType == .rawIP)
    var packets: [String] = []
    var times: [Int64] = []
    while let record = try reader.next() {
      packets.append(record.bytes.hex)
      times.append(record.nanoseconds)
    }
    #expect(packets == lines(hex.stdout))
    #expect(times.first == 1_795_541_557_652_092_000)
    #expect(times == times.sorted())
  }

  @Test("Standard input is read for '-', and -o takes the place of standard output")
  func streams() throws {
    let file = try Executable.run(["decode", Self.home])
    let path = try temporaryFile()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let result = try Executable.run(["decode", "-", "-o", path], stdin: try bytes(Self.home))
    #expect(result.stdout.isEmpty)
    #expect(try String(contentsOfFile: path, encoding: .utf8) == file.stdout)
    #expect(result.stderr.contains("standard input: 279 frames"))
  }

  @Test("Several files keep their order, and nothing of one leaks into the next")
  func severalFiles() throws {
    let first = "Captures/riot-linklocal_udp_coap.pcap"
    let second = "Captures/riot-linklocal_ping.pcap"
    let both = try Executable.run(["decode", first, second, "--json"])
    let one = try Executable.run(["decode", first, "--json"])
    let two = try Executable.run(["decode", second, "--json"])
    #expect(both.stdout == one.stdout + two.stdout)
    let table = try Executable.run(["decode", first, second])
    #expect(lines(table.stdout).filter { $0.hasSuffix(".pcap") } == [first, second])
  }

  @Test("A file that is cut off gives the frames before the cut, one line about it, and exit code 1")
  func cutOff() throws {
    let path = try temporaryFile(try bytes("Captures/riot-linklocal_udp_coap.pcap").dropLast(3))
    defer { try? FileManager.default.removeItem(atPath: path) }
    let result = try Executable.run(["decode", path, "--json"])
    #expect(result.status == 1)
    #expect(lines(result.stdout).count == 63)
    #expect(lines(result.stderr).count { $0.contains("record 64 is damaged") } == 1)
  }

  @Test("A clean capture gives exit code 0, although it holds other traffic")
  func clean() throws {
    let result = try Executable.run([
      "decode", "Captures/zep-linklocal_udp_coap.pcap", "--format", "ipv6-hex",
    ])
    #expect(result.status == 0)
    #expect(result.stderr.contains("captureNotIEEE802154"))
  }

  @Test("A file that cannot be read is one line and exit code 3, and the others are decoded")
  func badFile() throws {
    let missing = try Executable.run(["decode", "nowhere.pcap"])
    #expect(missing.status == 3)
    #expect(missing.stderr == "pangate: nowhere.pcap: cannot open the capture: No such file or directory\n")
    let text = try Executable.run(["decode", "Captures/INDEX.md"])
    #expect(text.status == 3)
    #expect(lines(text.stderr).count == 1)
    #expect(text.stderr.hasPrefix("pangate: Captures/INDEX.md: not a capture: "))
    let mixed = try Executable.run(["decode", "nowhere.pcap", "Captures/riot-linklocal_ping.pcap", "--json"])
    #expect(mixed.status == 3)
    #expect(lines(mixed.stdout).count == 194)
    let output = try Executable.run(["decode", Self.home, "-o", "/nowhere/at/all"])
    #expect(output.status == 3)
    #expect(output.stderr.hasPrefix("pangate: /nowhere/at/all: "))
  }

  @Test(
    "A wrong option is exit code 2 and says what is expected",
    arguments: [
      (["--context", "16=fd00::/64"], "N=PREFIX/LEN"), (["--context", "fd00::/64"], "N=PREFIX/LEN"),
      (["--context", "1=fd00::/129"], "N=PREFIX/LEN"), (["--key", "1:0011"], "32 hexadecimal digits"),
      (["--key", "256:00112233445566778899aabbccddeeff"], "0 to 255"), (["--eui", "1=2"], "SHORT=EUI64"),
      (["--context", "1=fd00::/64", "--context", "1=fd01::/64"], "given twice"),
      (["--json", "--format", "pcap", "-o", "x"], "contradict"), (["--format", "xml"], "ipv6-hex"),
      (["--colour"], "--colour"),
    ])
  func usage(options: [String], message: String) throws {
    let result = try Executable.run(["decode", Self.home] + options)
    #expect(result.status == 2)
    #expect(result.stderr.contains(message))
    #expect(result.stdout.isEmpty)
  }

  @Test("Without a file it is wrong usage; --help has examples and exit codes")
  func help() throws {
    #expect(try Executable.run(["decode"]).status == 2)
    let help = try Executable.run(["decode", "--help"])
    #expect(help.status == 0)
    for part in ["EXAMPLES", "EXIT CODES", "--context", "--key", "--eui", "ipv6-hex"] {
      #expect(help.stdout.contains(part))
    }
  }
}
