// A reference to something that can be called.
#pragma once

#include <type_traits>

namespace puna::base {

/// A call without ownership or allocation: the callee must outlive the call.
template <typename Signature>
class FunctionRef;
template <typename R, typename... Args>
class FunctionRef<R(Args...)> {
  public:
    template <typename F>
        requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef>)
    FunctionRef(F&& f)
        : object_(const_cast<void*>(static_cast<const void*>(&f))), call_([](void* object, Args... args) -> R {
              return (*static_cast<std::remove_reference_t<F>*>(object))(static_cast<Args&&>(args)...);
          }) {}
    R operator()(Args... args) const { return call_(object_, static_cast<Args&&>(args)...); }

  private:
    void* object_;
    R (*call_)(void*, Args...);
};

}  // namespace puna::base
