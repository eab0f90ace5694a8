#include "input/chat_render.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "input/chat_functions.hpp"
#include "input/chat_operators.hpp"
#include "kernels/check.hpp"

namespace llmpq::chat {
namespace {

using Kind = Expression::Kind;
constexpr int64_t kMostSteps = 1'000'000;  ///< of one rendering, see count_steps
constexpr int kDeepestMacro = 100;

/// Names and their values; an inner scope hides the outer ones. A loop's and a macro's body have
/// one of their own: what is set there is gone behind it.
class Scope {
 public:
  explicit Scope(Scope* outer) : outer_(outer) {}
  const Value* find(const std::string& name) const {
    const auto place = values_.find(name);
    if (place != values_.end()) return &place->second;
    return outer_ ? outer_->find(name) : nullptr;
  }
  void set(const std::string& name, Value value) {
    values_.insert_or_assign(name, std::move(value));
  }

 private:
  Scope* outer_;
  std::map<std::string, Value> values_;
};

enum class Flow : uint8_t { kOn, kBreak, kContinue };

class Renderer {
 public:
  explicit Renderer(std::time_t now) : now_(now) {}

  std::string run(const Body& body, const Mapping& variables) {
    Scope globals(nullptr);
    for (const auto& [name, value] : variables.items) globals.set(name, value);
    Scope scope(&globals);
    globals_ = &scope;
    walk(body, scope);
    return std::move(out_);
  }

 private:
  /// A step is a statement, a round of a loop, an expression, or a part of a large value.
  void count_steps(int64_t steps, int line) {
    steps_ += steps;
    if (steps_ > kMostSteps) stop(line, "the template does not come to an end");
  }

  static int64_t steps_of(const Value& value) {
    if (value.list()) return 1 + std::ssize(*value.list()) / 16;
    return 1 + (value.text() ? std::ssize(*value.text()) / 64 : 0);
  }

  void print(std::string_view text, int line) { append(out_, text, line); }

  // ---- statements

  Flow walk(const Body& body, Scope& scope) {
    for (const Statement& statement : body)
      if (const Flow flow = walk(statement, scope); flow != Flow::kOn) return flow;
    return Flow::kOn;
  }

  Flow walk(const Statement& s, Scope& scope) {
    count_steps(1, s.line);
    switch (s.kind) {
      case Statement::Kind::kText:
        print(s.text, s.line);
        return Flow::kOn;
      case Statement::Kind::kPrint:
        print(text_of(value_of(*s.expression, scope)), s.line);
        return Flow::kOn;
      case Statement::Kind::kIf:
        return walk(truth(value_of(*s.expression, scope)) ? s.body : s.otherwise, scope);
      case Statement::Kind::kFor:
        return loop(s, scope);
      case Statement::Kind::kSet:
        set(s, scope);
        return Flow::kOn;
      case Statement::Kind::kMacro:
        scope.set(s.macro->name, s.macro);
        return Flow::kOn;
      case Statement::Kind::kBreak:
        return Flow::kBreak;
      case Statement::Kind::kContinue:
        return Flow::kContinue;
    }
    return Flow::kOn;
  }

  void bind(const std::vector<std::string>& names, const Value& value, Scope& scope, int line) {
    if (names.size() == 1) return scope.set(names[0], value);
    const List parts = items_of(value, line);
    if (parts.size() != names.size())
      stop(line, fmt::format("{} names for {} values", names.size(), parts.size()));
    for (size_t i = 0; i < names.size(); ++i) scope.set(names[i], parts[i]);
  }

  void set(const Statement& s, Scope& scope) {
    const Value value = s.expression ? value_of(*s.expression, scope) : text_in(s.body, scope);
    if (s.attribute.empty()) return bind(s.names, value, scope, s.line);
    const Value* owner = scope.find(s.names[0]);
    Mapping* mapping = owner ? owner->mapping() : nullptr;
    if (!mapping || !mapping->is_namespace)
      stop(s.line,
           fmt::format("`{}` is no namespace: its `{}` cannot be set", s.names[0], s.attribute));
    mapping->set(s.attribute, value);
  }

  /// What a body prints, as a value.
  std::string text_in(const Body& body, Scope& scope) {
    std::string before = std::exchange(out_, "");
    Scope inner(&scope);
    walk(body, inner);
    return std::exchange(out_, std::move(before));
  }

  static Mapping loop_facts(const List& items, size_t at) {
    const auto index = static_cast<int64_t>(at), count = std::ssize(items);
    Mapping loop;
    loop.items = {
        {"index", index + 1},
        {"index0", index},
        {"revindex", count - index},
        {"revindex0", count - index - 1},
        {"first", index == 0},
        {"last", index + 1 == count},
        {"length", count},
        {"previtem", at > 0 ? items[at - 1] : Value(Undefined{"previtem"})},
        {"nextitem", at + 1 < items.size() ? items[at + 1] : Value(Undefined{"nextitem"})},
        {"cycle", Function{"cycle", std::make_shared<Value>(index)}}};
    return loop;
  }

  Flow loop(const Statement& s, Scope& scope) {
    List items = items_of(value_of(*s.expression, scope), s.line);
    if (s.condition)
      std::erase_if(items, [&](const Value& item) {
        Scope inner(&scope);
        bind(s.names, item, inner, s.line);
        return !truth(value_of(*s.condition, inner));
      });
    if (items.empty()) return walk(s.otherwise, scope);
    for (size_t i = 0; i < items.size(); ++i) {
      count_steps(1, s.line);
      Scope inner(&scope);
      inner.set("loop", loop_facts(items, i));
      bind(s.names, items[i], inner, s.line);
      if (walk(s.body, inner) == Flow::kBreak) break;
    }
    return Flow::kOn;
  }

  // ---- expressions

  Value value_of(const Expression& e, Scope& scope) {
    Value value = evaluated(e, scope);
    count_steps(steps_of(value), e.line);
    return value;
  }

  Value evaluated(const Expression& e, Scope& scope) {
    switch (e.kind) {
      case Kind::kLiteral:
        return e.value;
      case Kind::kName:
        return named(e.name, scope);
      case Kind::kList:
        return list_of(e, scope);
      case Kind::kMapping:
        return mapping_of(e, scope);
      case Kind::kAttribute:
        return attribute(value_of(*e.parts[0], scope), e);
      case Kind::kItem:
        return item_of(e, scope);
      case Kind::kSlice:
        return slice(value_of(*e.parts[0], scope), part(e, 1, scope), part(e, 2, scope),
                     part(e, 3, scope), e.line);
      case Kind::kCall:
        return call(e, scope);
      case Kind::kFilter:
        return apply_filter(e.name, value_of(*e.parts[0], scope), arguments(e, scope), e.line);
      case Kind::kTest:
        return apply_test(e.name, value_of(*e.parts[0], scope), arguments(e, scope), e.line);
      case Kind::kNot:
        return !truth(value_of(*e.parts[0], scope));
      case Kind::kNegative:
        return apply_operator("-", int64_t{0}, value_of(*e.parts[0], scope), e.line);
      case Kind::kBinary:
        return binary(e, scope);
      case Kind::kConditional:
        if (truth(value_of(*e.parts[1], scope))) return value_of(*e.parts[0], scope);
        return e.parts[2] ? value_of(*e.parts[2], scope) : Value();
    }
    return {};
  }

  Value named(const std::string& name, const Scope& scope) {
    if (const Value* value = scope.find(name)) return *value;
    for (const auto* global : {"range", "namespace", "dict", "raise_exception", "strftime_now"})
      if (name == global) return Function{name, nullptr};
    return Undefined{name};
  }

  Value list_of(const Expression& e, Scope& scope) {
    List list;
    for (const auto& part : e.parts) list.push_back(value_of(*part, scope));
    return list;
  }

  Value mapping_of(const Expression& e, Scope& scope) {
    Mapping mapping;
    for (size_t i = 0; i < e.parts.size(); i += 2) {
      const Value key = value_of(*e.parts[i], scope);
      if (!key.text()) stop(e.line, "a mapping wants text as keys");
      mapping.set(*key.text(), value_of(*e.parts[i + 1], scope));
    }
    return mapping;
  }

  Value part(const Expression& e, size_t i, Scope& scope) {
    return e.parts[i] ? value_of(*e.parts[i], scope) : Value(None{});
  }

  Value attribute(const Value& owner, const Expression& e) {
    if (owner.is_undefined())
      stop(e.line,
           fmt::format("`{}` is undefined: it has no `{}`", owner.as<Undefined>()->name, e.name));
    if (has_method(owner, e.name)) return Function{e.name, std::make_shared<Value>(owner)};
    return item(owner, e.name);
  }

  Value item_of(const Expression& e, Scope& scope) {
    const Value owner = value_of(*e.parts[0], scope), key = value_of(*e.parts[1], scope);
    if (owner.is_undefined())
      stop(e.line, fmt::format("`{}` is undefined: it has no [{}]", owner.as<Undefined>()->name,
                               text_of(key)));
    return item(owner, key);
  }

  Arguments arguments(const Expression& e, Scope& scope) {
    Arguments all;
    for (const Argument& argument : e.arguments) {
      Value value = value_of(*argument.value, scope);
      if (argument.name.empty())
        all.by_place.push_back(std::move(value));
      else
        all.by_name.emplace_back(argument.name, std::move(value));
    }
    return all;
  }

  Value call(const Expression& e, Scope& scope) {
    const Value callee = value_of(*e.parts[0], scope);
    const Arguments given = arguments(e, scope);
    if (const auto* macro = callee.as<std::shared_ptr<const Macro>>())
      return call_macro(**macro, given, e.line);
    const auto* function = callee.as<Function>();
    if (!function) {
      const auto* undefined = callee.as<Undefined>();
      stop(e.line, undefined ? fmt::format("there is no function `{}`", undefined->name)
                             : fmt::format("{} is called, which is no function", kind(callee)));
    }
    if (!function->self) return call_global(function->name, given, e.line);
    if (function->name == "cycle" && function->self->as<int64_t>())
      return cycle(*function->self->as<int64_t>(), given, e.line);
    return call_method(*function, given, e.line);
  }

  static Value cycle(int64_t index, const Arguments& given, int line) {
    if (given.by_place.empty()) stop(line, "cycle wants values");
    return given.by_place[static_cast<size_t>(index) % given.by_place.size()];
  }

  Value call_macro(const Macro& macro, const Arguments& given, int line) {
    if (++macro_depth_ > kDeepestMacro) stop(line, "macros call each other without an end");
    Scope scope(globals_);
    for (size_t i = 0; i < macro.parameters.size(); ++i) {
      const std::string& name = macro.parameters[i];
      Value value = given.get(i, name, Undefined{name});
      if (value.is_undefined() && macro.defaults[i]) value = value_of(*macro.defaults[i], scope);
      scope.set(name, std::move(value));
    }
    std::string text = text_in(macro.body, scope);
    --macro_depth_;
    return text;
  }

  Value call_global(const std::string& name, const Arguments& given, int line) {
    if (name == "raise_exception")
      fail(Exit::kPrompts, "the chat template refuses the messages: {}",
           text_of(given.get(0, "message")));
    if (name == "strftime_now") return time_text(text_of(given.get(0, "format")), line);
    if (name == "range") return range(given, line);
    Mapping mapping;
    mapping.is_namespace = name == "namespace";
    if (!given.by_place.empty() && given.by_place[0].mapping())
      mapping.items = given.by_place[0].mapping()->items;
    for (const auto& [key, value] : given.by_name) mapping.set(key, value);
    return mapping;
  }

  std::string time_text(const std::string& format, int line) const {
    std::tm local{};
    localtime_r(&now_, &local);
    char text[256];
    const size_t bytes = std::strftime(text, sizeof(text), format.c_str(), &local);
    if (bytes == 0 && !format.empty()) stop(line, "strftime_now: the format is too long");
    return {text, bytes};
  }

  static Value range(const Arguments& given, int line) {
    std::vector<int64_t> numbers;
    for (const Value& value : given.by_place) {
      if (!value.as<int64_t>()) stop(line, "range wants whole numbers");
      numbers.push_back(*value.as<int64_t>());
    }
    if (numbers.empty() || numbers.size() > 3) stop(line, "range wants one to three numbers");
    const int64_t begin = numbers.size() > 1 ? numbers[0] : 0;
    const int64_t end = numbers.size() > 1 ? numbers[1] : numbers[0];
    const int64_t step = numbers.size() > 2 ? numbers[2] : 1;
    if (step == 0) stop(line, "range wants a step other than 0");
    List list;
    for (int64_t at = begin; step > 0 ? at < end : at > end; at += step) {
      if (std::ssize(list) >= kMostItems) stop(line, "a range is too long");
      list.push_back(at);
    }
    return list;
  }

  Value binary(const Expression& e, Scope& scope) {
    const Value left = value_of(*e.parts[0], scope);
    if (e.name == "and") return truth(left) ? value_of(*e.parts[1], scope) : left;
    if (e.name == "or") return truth(left) ? left : value_of(*e.parts[1], scope);
    const Value right = value_of(*e.parts[1], scope);
    if (e.name == "==") return equal(left, right);
    if (e.name == "!=") return !equal(left, right);
    if (e.name == "in") return contains(right, left, e.line);
    return apply_operator(e.name, left, right, e.line);
  }

  std::time_t now_;
  std::string out_;
  Scope* globals_ = nullptr;
  int64_t steps_ = 0;
  int macro_depth_ = 0;
};

}  // namespace

std::string render(const Body& body, const Mapping& variables, std::time_t now) {
  return Renderer(now).run(body, variables);
}

}  // namespace llmpq::chat
